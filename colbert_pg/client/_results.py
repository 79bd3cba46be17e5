"""What the methods of the clients return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from colbert_pg.encoding import TokenText

Key = Any  # int, str, uuid.UUID: whatever psycopg makes of the key's type


class Hit(NamedTuple):
    """A document that was found, and its exact score."""

    doc_id: Key
    score: float


class HybridHit(NamedTuple):
    """A document that hybrid search found: the fused score, and rank and score by both parts.

    ``score`` adds up the reciprocal ranks, ``maxsim_score`` is the exact MaxSim, ``text_score``
    that of full text. Ranks count from 1. Rank and score of a part are None where the document has
    no tokens, or its text was not found.
    """

    doc_id: Key
    score: float
    maxsim_rank: int | None
    maxsim_score: float | None
    text_rank: int | None
    text_score: float | None


class ParentHit(NamedTuple):
    """A document that was found by its chunks: its key, the score of its best chunk, and that."""

    parent_id: Key
    score: float
    doc_id: Key


class Match(NamedTuple):
    """Which document token answered a query token.

    Positions are 1-based. The texts are None where no encoder, or no text of the document, is at
    hand.
    """

    query_position: int
    query_token: TokenText | None
    document_position: int
    document_token: TokenText | None
    similarity: float


class Explanation(NamedTuple):
    """Why a document has its score: the sum of the similarities of its matches."""

    doc_id: Key
    score: float
    matches: list[Match]
    content: str | None


class Problem(NamedTuple):
    """A difference between an index and the arrays of its source."""

    problem: str
    doc_id: str | None
    detail: str | None


class Recall(NamedTuple):
    """How good an index is, and how fast: a share of the best documents, and milliseconds."""

    queries: int
    recall: float
    milliseconds: float
    milliseconds_p95: float
    exact_milliseconds: float
    speedup: float


class Trial(NamedTuple):
    """A setting of an index that was tried, and whether it is now the index's."""

    setting: Mapping[str, int]
    recall: float
    milliseconds: float
    speedup: float
    chosen: bool


class Stage(NamedTuple):
    """What a stage of a search did. ``rows_read`` are those of the index, where it read any."""

    stage: str
    documents: int
    milliseconds: float
    detail: str
    rows_read: int | None = None
