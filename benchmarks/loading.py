"""How fast documents go in: through COPY and through single-row INSERT, for each method.

    python -m benchmarks.loading [--loaded 1000] [--rounds 3] [--copied 100] [--inserted 20]

Each method has a table that holds some documents and has its index already, so that the triggers
do what they do in production. In turns, every table takes documents by one COPY, by two of as many
each at the same time ("2 COPYs"), then by INSERTs that commit one by one; vectors go in binary.
"build" is the other way, which bulk loads should take: create_index on the documents that were
loaded first. "no index" is the bare table.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import NamedTuple, cast

import psycopg

from benchmarks.harness import Connection, arguments, circumstances, running, table, timed
from benchmarks.scifact import DIMENSIONS, VECTORS, collection
from colbert_pg.client import Client
from colbert_pg.options import Method
from colbert_pg.vectors import HalfTokenArray, Matrix

METHODS = ("no index", "exact", "hnsw", "ivfflat", "plaid")
RESULT = Path(__file__).resolve().parent / "results" / "loading.txt"


class Rates(NamedTuple):
    """Documents and tokens a second of every round."""

    documents: list[float]
    tokens: list[float]

    def add(self, documents: list[Matrix], seconds: float) -> None:
        self.documents.append(len(documents) / seconds)
        self.tokens.append(sum(map(len, documents)) / seconds)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--loaded", type=int, default=1000, help="documents before the index")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--copied", type=int, default=100, help="documents of a COPY")
    parser.add_argument("--inserted", type=int, default=20, help="INSERTs of a round")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--cache", type=Path, help=f"of encoded texts; default: {VECTORS}")
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()

    a_round = 3 * options.copied + options.inserted
    whole = collection(options.loaded + options.rounds * a_round, 1, options.cache)
    loaded, rest = whole.documents[: options.loaded], whole.documents[options.loaded :]
    lines = []
    with (
        running(options.url) as server,
        server.connect() as connection,
        server.connect() as another,
    ):
        lines += [
            circumstances(connection),
            f"{whole.name}: {len(loaded)} documents of {sum(map(len, loaded)) / len(loaded):.0f} "
            f"tokens loaded first, then {options.rounds} rounds of a COPY of {options.copied} and "
            f"{options.inserted} INSERTs; medians",
        ]
        print("\n".join(lines), flush=True)
        built: dict[str, float] = {}
        missing: dict[str, str] = {}
        for method in options.methods:
            try:
                built[method] = _prepared(connection, method, loaded)
                print(f"  {method}: built in {built[method]:.1f} s", flush=True)
            except psycopg.errors.InvalidParameterValue as error:
                missing[method] = f"missing: {error.diag.message_primary}"
        copied = {method: Rates([], []) for method in built}
        at_once = {method: Rates([], []) for method in built}
        inserted = {method: Rates([], []) for method in built}
        for number in range(options.rounds):
            first = number * a_round
            one, two = first + options.copied, first + 3 * options.copied
            many, both, few = rest[first:one], rest[one:two], rest[two : first + a_round]
            for method in built:
                key = options.loaded + first
                copied[method].add(many, timed(partial(_copy, connection, method, key, many)))
                key += len(many)
                copy = partial(_copy_at_once, connection, another, method, key, both)
                at_once[method].add(both, timed(copy))
                key += len(both)
                inserted[method].add(few, timed(partial(_insert, connection, method, key, few)))
            print(f"  round {number + 1} of {options.rounds}", flush=True)
    rows = []
    tokens = sum(map(len, loaded))
    for method in options.methods:
        if method in missing:
            rows.append([method, missing[method]])
            continue
        rates = [
            f"{median(values):,.0f}" if median(values) >= 10 else f"{median(values):.1f}"
            for values in (*copied[method], at_once[method].tokens, *inserted[method])
        ]
        build = f"{tokens / built[method]:,.0f}" if built[method] else ""
        rows.append([method, *rates, build])
    header = ["method", "COPY docs/s", "tokens/s", "2 COPYs tokens/s"]
    header += ["INSERT docs/s", "tokens/s", "build tokens/s"]
    text = "\n".join([*lines, "", table(header, rows)])
    print(f"\n{table(header, rows)}")
    options.output.write_text(text + "\n")


def _name(method: str) -> str:
    return f"benchmark_loading_{method.replace(' ', '_')}"


def _prepared(connection: Connection, method: str, documents: list[Matrix]) -> float:
    """A table with the documents and the index; seconds that the index took."""
    name = _name(method)
    connection.execute(f"DROP TABLE IF EXISTS {name} CASCADE")
    connection.execute(
        f"CREATE TABLE {name} (id integer PRIMARY KEY, embeddings halfvec({DIMENSIONS})[])"
    )
    connection.execute(f"ALTER TABLE {name} ALTER embeddings SET STORAGE EXTERNAL")
    _copy(connection, method, 0, documents)
    if method == "no index":
        return 0.0
    started = time.perf_counter()
    Client(connection).create_index(name, method=cast(Method, method))
    return time.perf_counter() - started


def _copy(connection: Connection, method: str, first: int, documents: list[Matrix]) -> None:
    keys = range(first, first + len(documents))
    Client(connection).add(_name(method), keys=keys, embeddings=documents)


def _copy_at_once(
    connection: Connection, another: Connection, method: str, first: int, documents: list[Matrix]
) -> None:
    """Half of the documents by either connection."""
    half = len(documents) // 2
    halves = (documents[:half], documents[half:])
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_copy, (connection, another), repeat(method), (first, first + half), halves))


def _insert(connection: Connection, method: str, first: int, documents: list[Matrix]) -> None:
    statement = f"INSERT INTO {_name(method)} VALUES (%s, %s)".encode()
    for key, document in enumerate(documents, first):
        connection.execute(statement, (key, HalfTokenArray(document)))


if __name__ == "__main__":
    main()
