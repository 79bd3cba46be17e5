"""Qdrant, the engine without its server (Edge): every document by its multivector MaxSim."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from qdrant_edge import (
    Distance,
    EdgeConfig,
    EdgeShard,
    EdgeVectorParams,
    MultiVectorComparator,
    MultiVectorConfig,
    Point,
    Query,
    SearchParams,
    SearchRequest,
    UpdateOperation,
    VectorStorageDatatype,
)

from benchmarks.peers.worker import Vectors, serve

BATCH = 200  # documents written at once


class QdrantEngine:
    """Exact search of half-precision vectors. It searches its segments in parallel."""

    def versions(self) -> str:
        return f"Qdrant Edge {version('qdrant-edge-py')}"

    def load(self, directory: Path, documents: Sequence[Vectors]) -> None:
        directory.mkdir()
        shard = EdgeShard.create(str(directory), _config(documents))
        for first in range(0, len(documents), BATCH):
            points = [
                Point(number, {"tokens": document.tolist()})
                for number, document in enumerate(documents[first : first + BATCH], first)
            ]
            shard.update(UpdateOperation.upsert_points(points))
        shard.close()

    def build(self) -> int:
        return 0

    def open(self, directory: Path, documents: Sequence[Vectors]) -> None:
        self.shard = EdgeShard.load(str(directory), _config(documents))

    def search(self, query: Vectors) -> list[int]:
        nearest = Query.Nearest(query.tolist(), using="tokens")
        found = self.shard.search(SearchRequest(nearest, 10, params=SearchParams(exact=True)))
        return [int(point.id) for point in found]


def _config(documents: Sequence[Vectors]) -> EdgeConfig:
    vectors = EdgeVectorParams(
        documents[0].shape[1],
        Distance.Dot,
        multivector_config=MultiVectorConfig(MultiVectorComparator.MaxSim),
        datatype=VectorStorageDatatype.Float16,
    )
    threads = os.environ.get("RAYON_NUM_THREADS")
    return EdgeConfig(
        {"tokens": vectors},
        max_search_threads=int(threads) if threads else None,
        wal_enabled=False,  # which only one process can open
    )


if __name__ == "__main__":
    serve(QdrantEngine())
