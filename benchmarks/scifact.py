"""How good and how fast searches of SciFact are, through the database, with the default model.

    python -m benchmarks.scifact [--queries 300] [--methods exact hnsw] [--cache FILE.npz]

Encodes the 5,183 abstracts and the test queries at 128 dimensions, stores them, builds each index,
and prints nDCG@10 against the relevance judgements, recall@10 against exact search, and latency
with its ratio to exact search in the same run. Encoding takes some minutes: --cache keeps it.
"""

from __future__ import annotations

import csv
import json
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness import Connection, arguments, circumstances, database
from colbert_pg.client import Client
from colbert_pg.encoder import Encoder
from colbert_pg.vectors import Matrix

SCIFACT = Path(
    os.environ.get("COLBERT_PG_SCIFACT")
    or Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "scifact"
)
TABLE = "benchmark_scifact"


class Texts(NamedTuple):
    """Identifiers and texts, in the order of the file."""

    ids: list[str]
    texts: list[str]


class Setting(NamedTuple):
    """A way to search: the index method and its knobs."""

    method: str
    candidates: int | None = None
    hits: int | None = None

    def __str__(self) -> str:
        knobs = [f"{n} {v}" for n, v in zip(self._fields[1:], self[1:], strict=True) if v]
        return " ".join([self.method, *knobs])


SETTINGS = (
    Setting("exact"),
    Setting("hnsw"),
    Setting("hnsw", hits=50),
    Setting("hnsw", candidates=200),
    Setting("ivfflat"),
)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--methods", nargs="+", default=["exact", "hnsw"])
    parser.add_argument("--cache", type=Path, help="where to keep the encoded texts")
    parser.add_argument("--if-present", action="store_true", help="without SciFact, say so and end")
    options = parser.parse_args()
    if not SCIFACT.is_dir():
        missing = f"not measured: no SciFact in {SCIFACT}, set COLBERT_PG_SCIFACT"
        if options.if_present:
            print(missing)
            return
        sys.exit(missing)

    corpus, queries = read("corpus.jsonl"), read("queries.jsonl")
    judgements = relevance()
    documents, questions = encoded(corpus.texts, queries.texts, options.cache)
    chosen = list(zip(queries.ids, questions, strict=True))[: options.queries]
    with database(options.url) as connection:
        print(circumstances(connection))
        fill(connection, corpus.ids, documents)
        tokens = sum(map(len, documents))
        print(f"{len(documents)} documents, {tokens} tokens, {len(chosen)} queries")
        truth: dict[str, list[str]] = {}
        baseline = 0.0
        for method in options.methods:
            seconds, size = build(connection, method)
            print(f"{method}: built in {seconds:.0f} s, {size / tokens:.0f} bytes a token")
            for setting in SETTINGS:
                if setting.method != method:
                    continue
                found, times = search(connection, setting, chosen)
                truth = truth or found
                latency = statistics.median(times)
                baseline = baseline or latency
                recall = statistics.mean(
                    len(set(found[i]) & set(truth[i])) / len(truth[i]) for i in truth
                )
                gain = statistics.mean(ndcg(found[i], judgements[i]) for i in found)
                print(
                    f"  {setting!s:<24} nDCG@10 {gain:.4f}  recall@10 {recall:.4f}"
                    f"  p50 {latency * 1e3:6.1f} ms  p95 {np.percentile(times, 95) * 1e3:6.1f} ms"
                    f"  {baseline / latency:5.1f}x"
                )


def read(name: str) -> Texts:
    with (SCIFACT / name).open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    texts = [f"{row.get('title') or ''} {row['text']}".strip() for row in rows]
    return Texts([row["_id"] for row in rows], texts)


def relevance(name: str = "qrels.tsv") -> dict[str, dict[str, int]]:
    """The judged documents of each query; those of the test queries by default."""
    judged: dict[str, dict[str, int]] = {}
    with (SCIFACT / name).open(encoding="utf-8") as lines:
        for query, document, score in csv.reader(lines, delimiter="\t"):
            if score.isdigit():
                judged.setdefault(query, {})[document] = int(score)
    return judged


def encoded(
    documents: Sequence[str], queries: Sequence[str], cache: Path | None
) -> tuple[list[Matrix], list[Matrix]]:
    """One matrix a text: from the cache if it is there, and else into it."""
    if cache is None or not cache.exists():
        encoder = Encoder.default()
        groups = {
            "documents": encoder.encode_documents(documents, progress=True),
            "queries": encoder.encode_queries(queries, progress=True),
        }
        if cache is None:
            return groups["documents"], groups["queries"]
        arrays: dict[str, Any] = {}
        for name, matrices in groups.items():
            arrays[name] = np.concatenate(matrices)
            arrays[f"{name}_tokens"] = np.array([len(matrix) for matrix in matrices])
        np.savez(cache, allow_pickle=False, **arrays)
    with np.load(cache) as stored:
        both = [
            np.split(stored[name], np.cumsum(stored[f"{name}_tokens"])[:-1])
            for name in ("documents", "queries")
        ]
    return both[0], both[1]


def fill(connection: Connection, ids: Sequence[str], documents: Sequence[Matrix]) -> None:
    connection.execute(f"DROP TABLE IF EXISTS {TABLE} CASCADE")
    connection.execute(f"CREATE TABLE {TABLE} (id text PRIMARY KEY, embeddings vector(128)[])")
    connection.execute(f"ALTER TABLE {TABLE} ALTER embeddings SET STORAGE EXTERNAL")
    Client(connection).add(TABLE, keys=ids, embeddings=documents)


def build(connection: Connection, method: str) -> tuple[float, int]:
    """Seconds to build the index, and its bytes."""
    client = Client(connection)
    if any(index["source"] == TABLE for index in client.indexes()):
        client.drop_index(TABLE)
    started = time.perf_counter()
    client.create_index(TABLE, method=method)
    seconds = time.perf_counter() - started
    (index,) = (index for index in client.indexes() if index["source"] == TABLE)
    return seconds, index["index_bytes"]


def search(
    connection: Connection, setting: Setting, queries: Sequence[tuple[str, Matrix]]
) -> tuple[dict[str, list[str]], list[float]]:
    """The ten best documents of each query, and seconds of each search, after one to warm up."""
    client = Client(connection)
    connection.execute(f"SET colbert.hits = {setting.hits or 100}")
    connection.execute("SET max_parallel_workers_per_gather = 0")
    found: dict[str, list[str]] = {}
    times = []
    client.search(TABLE, queries[0][1], candidates=setting.candidates)
    for name, query in queries:
        started = time.perf_counter()
        hits = client.search(TABLE, query, k=10, candidates=setting.candidates)
        times.append(time.perf_counter() - started)
        found[name] = [hit.doc_id for hit in hits]
    return found, times


def ndcg(found: Sequence[str], judged: Mapping[str, int]) -> float:
    """nDCG@10 with the judgements as gains, as BEIR and trec_eval compute it."""
    ideal = sorted(judged.values(), reverse=True)[:10]
    return gains([judged.get(name, 0) for name in found[:10]]) / gains(ideal)


def gains(values: Sequence[int]) -> float:
    return float(sum(value / np.log2(rank + 2) for rank, value in enumerate(values)))


if __name__ == "__main__":
    main()
