"""LanceDB: a table with a list of vectors a row, and its multivector index."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import IvfPq

from benchmarks.peers.worker import Vectors, bytes_in, serve

TABLE = "documents"


class LanceEngine:
    """IVF-PQ over all tokens; refined with the stored vectors where ``refine_factor`` is given."""

    def versions(self) -> str:
        return f"LanceDB {lancedb.__version__}"

    def load(self, directory: Path, documents: Sequence[Vectors]) -> None:
        tokens = pa.array(np.concatenate(documents).ravel())
        ends = np.cumsum([0, *map(len, documents)]).astype(np.int32)
        vectors = pa.ListArray.from_arrays(
            pa.array(ends), pa.FixedSizeListArray.from_arrays(tokens, documents[0].shape[1])
        )
        keys = pa.array(range(len(documents)))
        self.directory = directory
        self.table = lancedb.connect(directory).create_table(
            TABLE, pa.table({"id": keys, "vectors": vectors})
        )

    def build(self) -> int:
        self.table.create_index("vectors", config=IvfPq(distance_type="cosine"))
        return bytes_in(self.directory / f"{TABLE}.lance" / "_indices")

    def open(self, directory: Path, documents: Sequence[Vectors]) -> None:
        self.table = lancedb.connect(directory).open_table(TABLE)

    def search(self, query: Vectors, nprobes: int, refine_factor: int | None = None) -> list[int]:
        search = self.table.search(query, vector_column_name="vectors")
        search = search.select(["id", "_distance"]).nprobes(nprobes).limit(10)
        if refine_factor is not None:
            search = search.refine_factor(refine_factor)
        found: list[int] = search.to_arrow()["id"].to_pylist()
        return found


if __name__ == "__main__":
    serve(LanceEngine())
