"""A retriever for LangChain, over :meth:`colbert_pg.Client.search`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from colbert_pg._passages import passages
from colbert_pg.client import Client


class LateInteractionRetriever(BaseRetriever):
    """The documents of a table that answer a query best.

    Each has the key as its id, and ``score`` beside the named columns in its metadata.

    Attributes:
        client: with an encoder.
        source: the table.
        content: its column of text.
        metadata_columns: further columns to return.
        k, filter, params, candidates, exact, embeddings: as of :meth:`colbert_pg.Client.search`.
    """

    client: Client
    source: str
    content: str = "content"
    metadata_columns: Sequence[str] = ()
    k: int = 10
    filter: str | None = None
    params: Mapping[str, Any] | None = None
    candidates: int | None = None
    exact: bool = False
    embeddings: str | None = None

    model_config = ConfigDict(arbitrary_types_allowed=True)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        options = ("k", "filter", "params", "candidates", "exact", "embeddings")
        return [
            Document(
                id=str(found.doc_id),
                page_content=found.content,
                metadata={**found.metadata, "score": found.score},
            )
            for found in passages(
                self.client,
                self.source,
                query,
                self.content,
                self.metadata_columns,
                **{name: getattr(self, name) for name in options},
            )
        ]
