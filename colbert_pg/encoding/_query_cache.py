"""An encoder that remembers the queries it has encoded: people ask the same again, and page on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from colbert_pg.encoding._models import TextEncoder, TokenText
from colbert_pg.vectors import Matrix


class QueryCache:
    """A :class:`~colbert_pg.client.TextEncoder` around another one.

    Every client has one. Clients that live for one request share it with the next if they are
    given the same: ``encoder = QueryCache(Encoder.default())``. Threads may share one, too.

    Args:
        encoder: what encodes.
        queries: how many queries to remember, the latest used. One of 32 tokens of 128 dimensions
            takes 16 KB.
    """

    def __init__(self, encoder: TextEncoder, queries: int = 256) -> None:
        self.encoder = encoder
        self._encoded = lru_cache(queries)(self._encode)

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        return self.encoder.fingerprint

    def encode_queries(self, texts: Sequence[str]) -> list[Matrix]:
        """The arrays that the encoder gives, which must not be changed: others get them, too."""
        return [self._encoded(text) for text in texts]

    def encode_documents(self, texts: Sequence[str], *, progress: bool = False) -> Sequence[Matrix]:
        return self.encoder.encode_documents(texts, progress=progress)

    def query_tokens(self, text: str) -> Sequence[TokenText]:
        return self.encoder.query_tokens(text)

    def document_tokens(self, text: str) -> Sequence[TokenText]:
        return self.encoder.document_tokens(text)

    def _encode(self, text: str) -> Matrix:
        (matrix,) = self.encoder.encode_queries([text])
        matrix.flags.writeable = False
        return matrix


def cached(encoder: TextEncoder) -> QueryCache:
    """The encoder itself if it remembers queries already, else one around it that does."""
    return encoder if isinstance(encoder, QueryCache) else QueryCache(encoder)
