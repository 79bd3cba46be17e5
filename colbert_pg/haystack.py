"""A retriever for Haystack, over :meth:`colbert_pg.Client.search`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from haystack import Document, component

from colbert_pg._passages import passages
from colbert_pg.client import Client


@component
class LateInteractionRetriever:
    """The documents of a table that answer a query best.

    Each has the key as its id, its score, and the named columns as its meta. It works on a
    connection, and so is no part of a pipeline that is written down.

    Args:
        client: with an encoder.
        source: the table.
        content: its column of text.
        meta_columns: further columns to return.
        top_k: how many documents.
        options: more arguments of :meth:`colbert_pg.Client.search`, such as ``candidates``.
    """

    def __init__(
        self,
        client: Client,
        source: str,
        *,
        content: str = "content",
        meta_columns: Sequence[str] = (),
        top_k: int = 10,
        **options: Any,
    ) -> None:
        self.client = client
        self.source = source
        self.content = content
        self.meta_columns = meta_columns
        self.top_k = top_k
        self.options = options

    @component.output_types(documents=list[Document])
    def run(
        self,
        query: str,
        top_k: int | None = None,
        filter: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> dict[str, list[Document]]:
        """Find documents; ``filter`` and ``params`` go before those of the component."""
        options = {"k": top_k or self.top_k, **self.options}
        if filter is not None:  # whose params are its own
            options |= {"filter": filter, "params": params}
        elif params is not None:
            options["params"] = params
        found = passages(
            self.client, self.source, query, self.content, self.meta_columns, **options
        )
        return {
            "documents": [
                Document(id=str(f.doc_id), content=f.content, meta=f.metadata, score=f.score)
                for f in found
            ]
        }
