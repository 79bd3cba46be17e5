"""Every document by matrix multiplication: what the machine allows, without any index."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.peers.worker import Vectors, serve

DOCUMENTS_AT_A_TIME = 128  # so that their products with a query stay in the cache


class BruteForce:
    """NumPy's matrix product with all document tokens, then the maximum over each document."""

    def versions(self) -> str:
        blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return f"NumPy {np.__version__}, {blas['name']} {blas['version']}"

    def load(self, directory: Path, documents: Sequence[Vectors]) -> None:
        pass

    def build(self) -> int:
        return 0

    def open(self, directory: Path, documents: Sequence[Vectors]) -> None:
        self.chunks = []
        for first in range(0, len(documents), DOCUMENTS_AT_A_TIME):
            chunk = documents[first : first + DOCUMENTS_AT_A_TIME]
            starts = np.cumsum([0, *map(len, chunk[:-1])])
            self.chunks.append((np.concatenate(chunk), starts))

    def search(self, query: Vectors) -> list[int]:
        scores = np.concatenate(
            [
                np.maximum.reduceat(tokens @ query.T, starts, axis=0).sum(axis=1)
                for tokens, starts in self.chunks
            ]
        )
        best = np.argpartition(-scores, min(10, len(scores) - 1))[:10]
        return [int(document) for document in best[np.argsort(-scores[best], kind="stable")]]


if __name__ == "__main__":
    serve(BruteForce())
