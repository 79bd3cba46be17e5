"""Documents of 1 to 65,536 tokens, and queries of up to 1,024: python -m benchmarks.long_documents

A document of each length joins a hundred of a hundred tokens, of 128 dimensions: by COPY into a
table that is indexed already. Then the index is built anew, it is searched for the document by 20
of its own tokens, check_index compares the index with the array, and it is searched by 1,024
tokens. At the end the document is deleted. MB is the most memory that the backend had of its own,
without what it shares with others: up to the check, and in the search by 1,024 tokens.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.harness import Connection, arguments, circumstances, running, table, timed
from colbert_pg.client import Client
from colbert_pg.options import Method
from colbert_pg.vectors import Matrix, TokenArray

RESULT = Path(__file__).resolve().parent / "results" / "long_documents.txt"
TABLE = "benchmark_long"
DIMENSIONS = 128
OTHERS = 100
SHORT, LONG = 20, 1024  # tokens of a query
METHODS: tuple[Method, ...] = ("exact", "plaid", "hnsw", "ivfflat")
HEADER = ["method", "tokens", "stored", "built anew", "20 tokens", "checked", "MB"]
HEADER += ["1,024 tokens", "MB"]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1, 100, 8192, 65_536])
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    rows: list[list[str]] = []
    with running(options.url) as server:
        for method in options.methods:
            for length in options.lengths:
                with server.connect() as connection:
                    rows.append(_measured(connection, method, length))
                    print("  ".join(rows[-1]), flush=True)
                    head = circumstances(connection)
                    text = f"{head}\n\n{table(HEADER, rows)}\n"
                    options.output.write_text(text, encoding="utf-8")


def _measured(connection: Connection, method: Method, length: int) -> list[str]:
    random = np.random.default_rng(length)
    others = [_unit(random, 100) for _ in range(OTHERS)]
    document = _unit(random, length)
    client = Client(connection)
    connection.execute(f"DROP TABLE IF EXISTS {TABLE} CASCADE")
    connection.execute(
        f"CREATE TABLE {TABLE} (id integer PRIMARY KEY, embeddings halfvec({DIMENSIONS})[])"
    )
    connection.execute(f"ALTER TABLE {TABLE} ALTER embeddings SET STORAGE EXTERNAL")
    client.add(TABLE, keys=range(1, OTHERS + 1), embeddings=others)
    client.create_index(TABLE, method=method)

    with _most(connection.info.backend_pid) as memory:
        stored = timed(lambda: client.add(TABLE, keys=[0], embeddings=[document]))
        built = timed(lambda: client.reindex(TABLE))
        short = _timed_search(connection, document[random.integers(length, size=SHORT)])
        problems: list[object] = []
        checked = timed(lambda: problems.extend(client.check_index(TABLE)))
    with _most(connection.info.backend_pid) as in_long:
        long = _timed_search(connection, document[random.integers(length, size=LONG)])
    connection.execute(f"DELETE FROM {TABLE} WHERE id = 0")
    assert problems == [], problems
    client.drop_index(TABLE)
    connection.execute(f"DROP TABLE {TABLE}")
    return [
        method,
        f"{length:,}",
        *(f"{seconds:,.2f} s" for seconds in (stored, built, short, checked)),
        f"{memory():,.0f}",
        f"{long:,.2f} s",
        f"{in_long():,.0f}",
    ]


def _timed_search(connection: Connection, query: Matrix) -> float:
    """Seconds of a search that must find document 0 first; its plan is warm."""
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        rows = connection.execute(
            f"SELECT doc_id, score FROM colbert.search('{TABLE}', %s, k => 3)", [TokenArray(query)]
        ).fetchall()
        seconds.append(time.perf_counter() - started)
        assert rows[0][0] == 0, rows
        assert abs(rows[0][1] - len(query)) < 0.01 * len(query), rows
    return min(seconds)


def _unit(random: np.random.Generator, tokens: int) -> Matrix:
    drawn = random.normal(size=(tokens, DIMENSIONS))
    unit: Matrix = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit.astype(np.float16).astype(np.float32)


@contextmanager
def _most(pid: int) -> Iterator[Callable[[], float]]:
    """The most memory that a process has had of its own, in megabytes, looked at often."""
    most = 0.0
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.005):
            status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
            values = dict(line.split(":", 1) for line in status.splitlines())
            most = max(most, int(values["RssAnon"].split()[0]) / 1024)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: most
    finally:
        done.set()
        thread.join()


if __name__ == "__main__":
    main()
