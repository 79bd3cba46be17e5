"""An encoder for tests: every word is one token, with a unit vector of its own."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from colbert_pg.vectors import Matrix

TEXTS = [
    "a cat sat on the mat",
    "the dog chased the cat",
    "stocks fell sharply on monday",
    "rain on monday and tuesday",
]


class Word(NamedTuple):
    text: str
    start: int | None
    end: int | None


class WordEncoder:
    """The same vector for the same word, always; other words are nearly orthogonal."""

    def __init__(self, dimensions: int = 32, name: str = "words") -> None:
        self.dimensions = dimensions
        self.name = name
        self.encoded: list[str] = []

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"name": self.name, "dimensions": self.dimensions, "options": ("lower", 1)}

    def encode_queries(self, texts: Sequence[str]) -> list[Matrix]:
        return [self._encode(text) for text in texts]

    def encode_documents(self, texts: Sequence[str], *, progress: bool = False) -> list[Matrix]:
        return [self._encode(text) for text in texts]

    def query_tokens(self, text: str) -> list[Word]:
        return [Word(m.group(), m.start(), m.end()) for m in re.finditer(r"\w+", text)]

    def document_tokens(self, text: str) -> list[Word]:
        return self.query_tokens(text)

    def _encode(self, text: str) -> Matrix:
        self.encoded.append(text)
        rows = [self._vector(word.text.lower()) for word in self.query_tokens(text)]
        return np.array(rows, dtype=np.float32).reshape(len(rows), self.dimensions)

    def _vector(self, word: str) -> Matrix:
        vector = np.random.default_rng(zlib.crc32(word.encode())).normal(size=self.dimensions)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


def maxsim(query: Matrix, document: Matrix) -> float:
    """The score as its definition says."""
    return float((query @ document.T).max(axis=1).sum())
