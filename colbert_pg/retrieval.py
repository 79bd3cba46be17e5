"""Documents with their texts, for the retrievers of LangChain and Haystack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from psycopg import sql

from colbert_pg.client import Client
from colbert_pg.cursors import own_cursor
from colbert_pg.operations import Key

_INDEX = """
SELECT n.nspname, c.relname, i.key
  FROM colbert.indexes i
  JOIN pg_catalog.pg_class c ON c.oid = i.source
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE i.source = %(source)s::regclass
   AND i.embeddings = coalesce(%(embeddings)s::name, i.embeddings)
"""


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
    with own_cursor(client.connection) as cursor:
        index = {"source": source, "embeddings": options.get("embeddings")}
        schema, table, key = cursor.execute(_INDEX, index).fetchall()[0]
        statement = sql.SQL("SELECT {} FROM {} WHERE {} = ANY (%s)").format(
            sql.SQL(", ").join(map(sql.Identifier, [key, content, *metadata])),
            sql.Identifier(schema, table),
            sql.Identifier(key),
        )
        cursor.execute(statement, [[hit.doc_id for hit in hits]])
        rows = {doc_id: columns for doc_id, *columns in cursor.fetchall()}
    return [
        Passage(hit.doc_id, hit.score, text, dict(zip(metadata, values, strict=True)))
        for hit in hits
        if hit.doc_id in rows
        for text, *values in [rows[hit.doc_id]]
    ]
