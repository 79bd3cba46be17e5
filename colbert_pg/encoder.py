"""``Encoder`` under its public name; it is written in :mod:`colbert_pg.encoding`."""

from __future__ import annotations

from colbert_pg.encoding import DEFAULT_MODEL, Chunk, Encoder, Token, TruncationWarning, pool
from colbert_pg.vectors import Matrix

__all__ = ["DEFAULT_MODEL", "Chunk", "Encoder", "Matrix", "Token", "TruncationWarning", "pool"]
