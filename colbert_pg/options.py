"""Methods and options of indexes as types, so that editors and type checkers know their names."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

__all__ = ["Method", "Options", "WordMatch"]

#: How an index is made and searched.
Method = Literal["exact", "hnsw", "ivfflat", "plaid", "staged"]

#: Which documents full text finds.
WordMatch = Literal["any", "websearch"]


class Options(TypedDict, total=False):
    """The options of ``colbert.create_index``; which of them a method takes says the server.

    Attributes:
        normalized: vectors have unit length, and others are refused. Default: true.
        dimensions: of every vector, for a column declared without.
        model: whatever names the model of the vectors: a fingerprint, or a name.
        text: the column of texts that workers encode, or an expression over several.
        pictures: the column of pictures that workers encode instead.
        tenant: the column by which the index is kept apart.
        triggers: without them, writers call ``colbert.upsert``. Default: true.
        effort, margin, candidates, patience: how much a search reads and scores.
        centroids, nprobe: of plaid; nprobe of ivfflat, too.
        first_stage: of staged, the column whose index names the candidates.
        token_type, hits: of hnsw and ivfflat.
        m, ef_construction, ef_search: of hnsw.
        lists: of ivfflat.
    """

    normalized: bool
    dimensions: int
    model: Any
    text: str
    pictures: str
    tenant: str
    triggers: bool
    effort: float
    margin: float
    candidates: int
    patience: int
    centroids: int
    nprobe: int
    first_stage: str
    token_type: Literal["halfvec", "vector", "bit"]
    hits: int
    m: int
    ef_construction: int
    ef_search: int
    lists: int
