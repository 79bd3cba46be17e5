"""What the methods of the clients return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from colbert_pg.encoding import TokenText

Key = Any  # int, str, uuid.UUID: whatever psycopg makes of the key's type


class _Row:
    """A tuple that has the columns that were asked for beside its fields.

    Attributes:
        columns: their values by name; none where none were asked for.
    """

    columns: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def of(cls, row: Sequence[Any], columns: Sequence[str]) -> Self:
        """A row of a search whose last values are those of the columns."""
        fields = len(row) - len(columns)
        made = cls(*row[:fields])
        if columns:
            made.columns = dict(zip(columns, row[fields:], strict=True))
        return made


class _Hit(NamedTuple):
    doc_id: Key
    score: float


class Hit(_Row, _Hit):
    """A document that was found, and its exact score.

    Attributes:
        columns: of its row, by name, those that were asked for.
    """


class _HybridHit(NamedTuple):
    doc_id: Key
    score: float
    maxsim_rank: int | None
    maxsim_score: float | None
    text_rank: int | None
    text_score: float | None


class HybridHit(_Row, _HybridHit):
    """A document that hybrid search found: the fused score, and rank and score by both parts.

    ``score`` adds up the reciprocal ranks, ``maxsim_score`` is the exact MaxSim, ``text_score``
    that of full text. Ranks count from 1. Rank and score of a part are None where the document has
    no tokens, or its text was not found.

    Attributes:
        columns: of its row, by name, those that were asked for.
    """


class _ParentHit(NamedTuple):
    parent_id: Key
    score: float
    doc_id: Key


class ParentHit(_Row, _ParentHit):
    """A document that was found by its chunks: its key, the score of its best chunk, and that.

    Attributes:
        columns: of the chunk's row, by name, those that were asked for.
    """


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
