"""Documents with their texts, for the retrievers of LangChain and Haystack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from psycopg import sql

from colbert_pg._cursors import rows
from colbert_pg._statements import quoted
from colbert_pg.catalog import source as look_up
from colbert_pg.client import Client, Key


class Passage(NamedTuple):
    """A document that was found, with its score, its text and other columns of its row."""

    doc_id: Key
    score: float
    content: str
    metadata: dict[str, Any]


def passages(
    client: Client, source: str, query: str, content: str, metadata: Sequence[str], **options: Any
) -> list[Passage]:
    """What :meth:`Client.search` finds, best first, with the columns that are named."""
    hits = client.search(source, query, **options)
    table = look_up(client.connection, source)
    if not hits or table is None:
        return []
    key = table.key(options.get("embeddings"))
    statement = sql.SQL("SELECT {} FROM {} WHERE {} = ANY (%s)").format(
        sql.SQL(", ").join(map(quoted, [key, content, *metadata])),
        quoted(*table.identifier),
        quoted(key),
    )
    found = rows(client.connection, statement, [[hit.doc_id for hit in hits]])
    columns = {doc_id: values for doc_id, *values in found}
    return [
        Passage(hit.doc_id, hit.score, text, dict(zip(metadata, values, strict=True)))
        for hit in hits
        if hit.doc_id in columns
        for text, *values in [columns[hit.doc_id]]
    ]
