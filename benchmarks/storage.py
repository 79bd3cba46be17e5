"""What fewer dimensions, halfvec and pooled tokens save and cost on SciFact, through the database.

    python -m benchmarks.storage [--queries 100] [--indexed 500] [--cache FILE.npz]

The vectors are those of the default model at 128 dimensions; shorter ones are their leading
dimensions, pooled ones what sentence-transformers' hierarchical pooling makes of them: what
Encoder.default(dimensions, pool_factor=…) returns. Every query searches all variants exactly, one
after the other, in one process, so that a noisy moment hits all of them alike. Bytes are counted
for each token of the texts, pooled or not; those of pgvector's index on the first documents only,
which it takes long enough to build. Encoding takes some minutes: --cache keeps it.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling

from benchmarks.harness import Connection, arguments, circumstances, database
from benchmarks.scifact import SCIFACT, encoded, ndcg, read, relevance
from colbert_pg.client import Client
from colbert_pg.vectors import Matrix


class Variant(NamedTuple):
    """A way to store the documents."""

    dimensions: int
    half: bool
    pool: int = 1

    @property
    def column_type(self) -> str:
        return f"{'halfvec' if self.half else 'vector'}({self.dimensions})[]"

    @property
    def table(self) -> str:
        kind = "half" if self.half else "full"
        return f"benchmark_storage_{self.dimensions}_{kind}_{self.pool}"

    def __str__(self) -> str:
        pooled = f", pooled by {self.pool}" if self.pool != 1 else ""
        return f"{self.column_type.removesuffix('[]')}{pooled}"

    def of(self, matrix: Matrix) -> Matrix:
        """Vectors of full length in the form of this variant."""
        short = matrix[:, : self.dimensions]
        unit: Matrix = short / np.linalg.norm(short, axis=1, keepdims=True)
        return unit


VARIANTS = (
    Variant(128, half=False),
    Variant(128, half=True),
    Variant(128, half=True, pool=2),
    Variant(128, half=True, pool=3),
    Variant(64, half=False),
    Variant(64, half=True),
    Variant(64, half=True, pool=2),
    Variant(32, half=False),
    Variant(32, half=True),
    Variant(32, half=True, pool=2),
)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--indexed", type=int, default=500, help="documents to index by hnsw")
    parser.add_argument("--cache", type=Path, help="where to keep the encoded texts")
    options = parser.parse_args()
    if not SCIFACT.is_dir():
        sys.exit(f"not measured: no SciFact in {SCIFACT}, set COLBERT_PG_SCIFACT")
    corpus, queries = read("corpus.jsonl"), read("queries.jsonl")
    judgements = relevance()
    documents, questions = encoded(corpus.texts, queries.texts, options.cache)
    chosen = list(zip(queries.ids, questions, strict=True))[: options.queries]
    tokens = sum(map(len, documents))
    with database(options.url) as connection:
        print(circumstances(connection))
        print(f"{len(documents)} documents, {tokens} tokens, the first {len(chosen)} test queries")
        print(f"hnsw index of the first {options.indexed} documents\n", flush=True)
        sizes = {
            variant: stored(connection, variant, corpus.ids, documents, options.indexed)
            for variant in VARIANTS
        }
        found, seconds = search(connection, chosen)
    print("                               bytes a token           exact search")
    print("                              table   index  nDCG@10     p50  speed")
    first = statistics.median(seconds[VARIANTS[0]])
    for variant in VARIANTS:
        gain = statistics.mean(ndcg(found[variant][i], judgements[i]) for i in found[variant])
        latency = statistics.median(seconds[variant])
        table, index = sizes[variant]
        print(
            f"{variant!s:<28} {table:6.0f}  {index:6.0f}   {gain:.4f} {latency * 1e3:5.0f} ms"
            f" {first / latency:5.2f}x"
        )


def stored(
    connection: Connection,
    variant: Variant,
    ids: Sequence[str],
    documents: Sequence[Matrix],
    indexed: int,
) -> tuple[float, float]:
    """Store the documents; bytes a token of the table, and of an hnsw index with its tokens."""
    matrices = pooled([variant.of(document) for document in documents], variant.pool)
    few = f"{variant.table}_few"
    fill(connection, few, variant, ids[:indexed], matrices[:indexed])
    client = Client(connection)
    client.create_index(few, method="hnsw")
    (index,) = (row for row in client.indexes() if row["source"] == few)
    client.drop_index(few)
    connection.execute(f"DROP TABLE {few}")
    fill(connection, variant.table, variant, ids, matrices)
    client.create_index(variant.table, method="exact")
    row = connection.execute("SELECT pg_table_size(%s::regclass)", [variant.table]).fetchone()
    assert row is not None
    return (
        row[0] / sum(map(len, documents)),
        index["index_bytes"] / sum(map(len, documents[:indexed])),
    )


def pooled(matrices: list[Matrix], factor: int) -> list[Matrix]:
    if factor == 1:
        return matrices
    pooling = HierarchicalTokenPooling(factor)
    return [matrix.numpy() for matrix in pooling.pool([torch.from_numpy(m) for m in matrices])]


def fill(
    connection: Connection,
    table: str,
    variant: Variant,
    ids: Sequence[str],
    matrices: Sequence[Matrix],
) -> None:
    connection.execute(f"DROP TABLE IF EXISTS {table} CASCADE")
    connection.execute(
        f"CREATE TABLE {table} (id text PRIMARY KEY, embeddings {variant.column_type})"
    )
    connection.execute(f"ALTER TABLE {table} ALTER embeddings SET STORAGE EXTERNAL")
    Client(connection).add(table, keys=ids, embeddings=matrices)


def search(
    connection: Connection, queries: Sequence[tuple[str, Matrix]]
) -> tuple[dict[Variant, dict[str, list[str]]], dict[Variant, list[float]]]:
    """The ten best documents of each query in each variant, and seconds, after one to warm up."""
    client = Client(connection)
    connection.execute("SET max_parallel_workers_per_gather = 0")
    found: dict[Variant, dict[str, list[str]]] = {variant: {} for variant in VARIANTS}
    seconds: dict[Variant, list[float]] = {variant: [] for variant in VARIANTS}
    for warm, (name, query) in enumerate([queries[0], *queries]):
        for variant in VARIANTS:
            started = time.perf_counter()
            hits = client.search(variant.table, variant.of(query), k=10)
            if warm:
                seconds[variant].append(time.perf_counter() - started)
            found[variant][name] = [hit.doc_id for hit in hits]
    return found, seconds


if __name__ == "__main__":
    main()
