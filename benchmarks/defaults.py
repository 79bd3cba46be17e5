"""What a default search does, on collections that nobody tuned for: python -m benchmarks.defaults

For each collection (benchmarks/collections.py), method and k, through a client's eyes: the median
of the times of a default search, in times of exact search as 0.2.0 did it (one process), the share
of the true best k that it finds, how many documents it scores, and how many rows of the index it
reads. Searches and exact searches of a query follow each other, so that a noisy moment hits both.
"""

from __future__ import annotations

import statistics
from argparse import Namespace
from pathlib import Path

import numpy as np

from benchmarks.collections import COLLECTIONS, named
from benchmarks.contenders import DOCUMENTS, fill
from benchmarks.harness import (
    Connection,
    arguments,
    circumstances,
    database,
    setting,
    table,
    timed,
)
from benchmarks.scifact import Collection, brute_force
from colbert_pg.vectors import VECTOR_TYPES, Matrix, TokenArray, VectorTypes, register

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    options = _options()
    rows: list[list[str]] = []
    with database(options.url) as connection:
        print(circumstances(connection), flush=True)
        types = connection.execute(VECTOR_TYPES).fetchone()
        assert types is not None
        register(connection, VectorTypes(*types))
        for name in options.collections:
            whole = named(name)
            fill(connection, whole, "halfvec")
            for method in options.methods:
                built = timed(lambda method=method: _index(connection, method))  # type: ignore[misc]
                print(f"{whole}, {method}: built in {built:.0f} s", flush=True)
                found = measure(connection, whole, method, options.k, options.queries)
                rows += found
                print(table(HEADER, found), flush=True)
        text = f"{circumstances(connection)}\n\n{table(HEADER, rows)}\n"
    options.output.write_text(text, encoding="utf-8")


HEADER = [
    "collection",
    "tokens",
    "query",
    "method",
    "k",
    "recall",
    "ms",
    "times exact",
    "scored",
    "read",
]


def _options() -> Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--collections", nargs="+", choices=COLLECTIONS, default=list(COLLECTIONS))
    parser.add_argument("--methods", nargs="+", default=["plaid"])
    parser.add_argument("--k", type=int, nargs="+", default=[1, 10, 50, 100])
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--output", type=Path, default=RESULTS / "defaults.txt")
    options: Namespace = parser.parse_args()
    return options


def _index(connection: Connection, method: str) -> None:
    connection.execute("SELECT colbert.drop_index(source) FROM colbert.indexes")
    connection.execute("SELECT colbert.create_index(%s, method => %s)", (DOCUMENTS, method))
    connection.execute(f"ANALYZE {DOCUMENTS}")


def measure(
    connection: Connection, whole: Collection, method: str, ks: list[int], count: int
) -> list[list[str]]:
    """A row for each k."""
    queries = whole.queries[:count]
    truth = np.sort(brute_force(whole.documents, queries), axis=0)[::-1]
    setting(connection, "max_parallel_workers_per_gather", 0)
    exact = [timed(lambda q=q: _search(connection, q, 10, "true")) for q in queries[:10]]  # type: ignore[misc]
    rows = []
    for k in ks:
        times, exacts, recall, scored, read = [], [], [], [], []
        for number, query in enumerate(queries):
            _search(connection, query, k)  # what is cold for one k is warm for the next
            scores: list[float] = []
            times.append(timed(lambda q=query, s=scores: s.extend(_search(connection, q, k))))  # type: ignore[misc]
            if number < 10:
                exacts.append(timed(lambda q=query: _search(connection, q, k, "true")))  # type: ignore[misc]
            least = truth[:k, number][-1]
            recall.append(sum(score >= least - 1e-3 for score in scores) / min(k, len(truth)))
            stages = connection.execute(
                "SELECT stage, documents, rows_read FROM colbert.explain_search(%s, %s, %s::integer)",
                (DOCUMENTS, TokenArray(query), k),
            ).fetchall()
            scored.append(
                sum(documents for stage, documents, _ in stages if stage in ("scores", "all"))
            )
            read.append(sum(rows or 0 for _, _, rows in stages))
        milliseconds = 1000 * statistics.median(times)
        rows.append(
            [
                whole.name,
                f"{whole.tokens:,}",
                f"{np.mean([len(query) for query in queries]):.0f}",
                method,
                str(k),
                f"{np.mean(recall):.3f}",
                f"{milliseconds:.1f}",
                f"{1000 * statistics.median(exacts or exact) / milliseconds:.1f}",
                f"{np.mean(scored):.0f}",
                f"{np.mean(read):,.0f}",
            ]
        )
    return rows


def _search(connection: Connection, query: Matrix, k: int, exact: str = "false") -> list[float]:
    found = connection.execute(
        f"SELECT score FROM colbert.search('{DOCUMENTS}', %s, {k}, exact => {exact})",
        (TokenArray(query),),
    )
    return [score for (score,) in found]


if __name__ == "__main__":
    main()
