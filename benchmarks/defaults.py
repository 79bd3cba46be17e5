"""What a default search does, on collections that nobody tuned for: python -m benchmarks.defaults

For each collection (benchmarks/collections.py), method and k, through a client's eyes: the median
and the 95th percentile of the times of a default search in a session with default settings, how
many times faster that is than exact search as 0.2.0 did it in one process, the share of the true
best k that it finds, how many documents it scores, and how many rows of the index it reads. An
exact search follows the search of the same query, for every k, so that a noisy moment hits both.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import mean
from typing import cast

from benchmarks.collections import COLLECTIONS, named
from benchmarks.contenders import DOCUMENTS, fill
from benchmarks.harness import (
    Connection,
    Server,
    arguments,
    circumstances,
    running,
    table,
    timed,
)
from benchmarks.measuring import COLUMNS, Search, measured, yardstick
from benchmarks.scifact import Collection, brute_force
from colbert_pg.client import Client
from colbert_pg.options import Method

RESULTS = Path(__file__).resolve().parent / "results"
HEADER = ["collection", "tokens", "query", "method", "k", *COLUMNS]


def main() -> None:
    options = _options()
    rows: list[list[str]] = []
    with running(options.url) as server, server.connect() as connection:
        print(circumstances(connection), flush=True)
        for name in options.collections:
            whole = named(name, options.documents, options.queries)
            _drop_index(connection)
            fill(connection, whole, "halfvec")
            for method in options.methods:
                seconds = timed(partial(_index, connection, method))
                print(f"{whole}, {method}: built in {seconds:.0f} s", flush=True)
                found = list(_measured(server, whole, method, options))
                print(table(HEADER, found), flush=True)
                rows += found
                text = f"{circumstances(connection)}\n\n{table(HEADER, rows)}\n"
                options.output.write_text(text, encoding="utf-8")


def _options() -> Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--collections", nargs="+", choices=COLLECTIONS, default=list(COLLECTIONS))
    parser.add_argument("--methods", nargs="+", default=["plaid"])
    parser.add_argument("--k", type=int, nargs="+", default=[1, 10, 50, 100])
    parser.add_argument("--documents", type=int, help="of each collection; default: all")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument(
        "--exact-queries", type=int, default=10, help="that exact search answers, for each k"
    )
    parser.add_argument("--output", type=Path, default=RESULTS / "defaults.txt")
    options: Namespace = parser.parse_args()
    return options


def _index(connection: Connection, method: str) -> None:
    _drop_index(connection)
    Client(connection).create_index(DOCUMENTS, method=cast(Method, method))
    connection.execute(f"VACUUM ANALYZE {DOCUMENTS}")


def _drop_index(connection: Connection) -> None:
    client = Client(connection)
    if any(index["source"] == DOCUMENTS for index in client.indexes()):
        client.drop_index(DOCUMENTS)


def _measured(
    server: Server, whole: Collection, method: str, options: Namespace
) -> Iterator[list[str]]:
    """A row for each k."""
    queries = whole.queries[: options.queries]
    scores = brute_force(whole.documents, queries)
    with server.connect() as connection, yardstick(server) as exact:
        for k in options.k:
            search = Search(DOCUMENTS, k)
            figures = measured(search, queries, scores, connection, exact, options.exact_queries)
            yield [
                whole.name,
                f"{whole.tokens:,}",
                f"{mean(map(len, queries)):.0f}",
                method,
                str(k),
                *figures.cells(),
            ]


if __name__ == "__main__":
    main()
