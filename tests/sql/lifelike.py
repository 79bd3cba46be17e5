"""A collection that looks like an encoded one, made without a model.

Words come as often as words do (Zipf). A document is about a few of many topics and says the words
of its topics again and again. A vector is that of its word, moved by the topics of its document and
by its neighbours. A query says a few words of one document in another context. So some centroids
are large, and the ten best of a query are close together.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tests.sql.documents import Matrix, maxsim

DIMENSIONS = 64


class Lifelike(NamedTuple):
    """Documents by their keys, and queries."""

    documents: dict[int, Matrix]
    queries: list[Matrix]

    def score(self, query: Matrix, key: int) -> float:
        return maxsim(query, self.documents[key])

    def best(self, query: Matrix, keys: range) -> list[float]:
        """The scores of the documents with these keys, best first."""
        return sorted((self.score(query, key) for key in keys), reverse=True)


@lru_cache
def lifelike(documents: int = 1500, queries: int = 40, seed: int = 5) -> Lifelike:
    """About eighty tokens a document, 120,000 in all; queries of 6 to 24 tokens."""
    random = np.random.default_rng(seed)
    topics, words = 150, 4000
    frequency = 1 / np.arange(2, words + 2)
    frequency /= frequency.sum()
    word = _unit(random.normal(size=(words, DIMENSIONS)))
    topic = _unit(random.normal(size=(topics, DIMENSIONS)))
    favourites = [random.choice(words, size=60, replace=False) for _ in range(topics)]

    def vectors(spoken: np.ndarray, about: np.ndarray) -> Matrix:
        base = word[spoken]
        around = (np.roll(base, 1, axis=0) + np.roll(base, -1, axis=0)) / 2
        noise = random.normal(size=base.shape) / np.sqrt(DIMENSIONS)
        moved = base + 0.5 * topic[about].mean(axis=0) + 0.4 * around + 0.3 * noise
        return _unit(moved).astype(np.float16).astype(np.float32)

    made: dict[int, Matrix] = {}
    spoken_in: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for key in range(1, documents + 1):
        length = int(np.clip(random.lognormal(4.3, 0.5), 10, 400))
        about = random.choice(topics, size=random.integers(1, 4), replace=False)
        own = np.concatenate([favourites[number] for number in about])
        spoken = np.where(
            random.random(length) < 0.5,
            random.choice(words, size=length, p=frequency),
            random.choice(own, size=length),
        )
        made[key] = vectors(spoken, about)
        spoken_in[key] = spoken, about
    asked = []
    for key in random.choice(documents, size=queries, replace=False) + 1:
        spoken, about = spoken_in[int(key)]
        length = int(random.integers(6, 25))
        asked.append(vectors(random.choice(spoken, size=length), about[:1]))
    return Lifelike(made, asked)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))
