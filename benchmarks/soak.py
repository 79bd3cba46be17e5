"""Eight clients write and search for a while: is the index right afterwards, as good, as fast?

    python -m benchmarks.soak [--operations 20000] [--seconds 600] [--documents 1500]

A table for each method, of documents of 12 tokens of 64 dimensions around 200 topics. Six
operations in ten search, two change an array, one inserts and one deletes, on keys that all clients
share; now and then one runs repair_index or reindex. Whatever comes first ends it: the number of
operations, or the time. An error that is not a deadlock, and a difference that check_index finds,
fail the run.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import numpy as np
import psycopg

from benchmarks.harness import Connection, arguments, circumstances, database

METHODS = ("exact", "hnsw", "ivfflat", "plaid")
CLIENTS = 8
DIMENSIONS = 64
TOPICS = 200
TOKENS = 12
NEAR = np.random.default_rng(0).normal(size=(TOPICS, DIMENSIONS))


def document(rng: np.random.Generator, tokens: int = TOKENS) -> list[str]:
    """Unit vectors near some topics, as pgvector reads them."""
    drawn = NEAR[rng.integers(TOPICS, size=tokens)] + 0.5 * rng.normal(size=(tokens, DIMENSIONS))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return ["[" + ",".join(f"{x:.6f}" for x in row) + "]" for row in drawn]


def table(method: str) -> str:
    return f"benchmark_soak_{method}"


def prepare(connection: Connection, documents: int) -> None:
    rng = np.random.default_rng(1)
    rows = [(key, document(rng)) for key in range(documents)]
    queries = [(key, document(rng, 6)) for key in range(50)]
    layout = f"(id integer PRIMARY KEY, embeddings vector({DIMENSIONS})[])"
    for name in ("benchmark_soak_queries", *map(table, METHODS)):
        connection.execute(f"DROP TABLE IF EXISTS {name} CASCADE".encode())
        connection.execute(f"CREATE TABLE {name} {layout}".encode())
        with connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {name} VALUES (%s, %s::text[]::vector[])".encode(),
                queries if name == "benchmark_soak_queries" else rows,
            )
    for method in METHODS:
        connection.execute("SELECT colbert.create_index(%s, method => %s)", [table(method), method])
        connection.execute(f"ANALYZE {table(method)}".encode())


def state(connection: Connection, method: str) -> dict[str, Any]:
    """Differences, recall, milliseconds of a search, bytes."""
    name = table(method)
    (differences,) = _one(connection, "SELECT count(*) FROM colbert.check_index(%s)", name)
    recall, milliseconds, p95 = _one(
        connection,
        "SELECT recall, milliseconds, milliseconds_p95 FROM "
        "colbert.measure_recall(%s, queries => 'benchmark_soak_queries')",
        name,
    )
    documents, bytes_ = _one(
        connection,
        f"SELECT (SELECT count(*) FROM {name}), index_bytes FROM colbert.indexes "
        "WHERE source = %s::regclass",
        name,
    )
    return {
        "differences": differences,
        "documents": documents,
        "recall": recall,
        "milliseconds": milliseconds,
        "p95": p95,
        "megabytes": bytes_ / 1e6,
    }


def _one(connection: Connection, statement: str, *values: object) -> tuple[Any, ...]:
    row = connection.execute(statement.encode(), values).fetchone()
    assert row is not None
    return row


class Soak:
    """What the clients share: what is left to do, and what they have met."""

    def __init__(self, dsn: str, operations: int, seconds: float, documents: int) -> None:
        self.dsn = dsn
        self.left = operations
        self.end = time.monotonic() + seconds
        self.keys = 2 * documents
        self.done: Counter[str] = Counter()
        self.unexpected: list[str] = []
        self._lock = threading.Lock()

    def more(self) -> bool:
        with self._lock:
            self.left -= 1
            return self.left >= 0 and time.monotonic() < self.end and not self.unexpected

    def client(self, number: int) -> None:
        rng = np.random.default_rng(100 + number)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            while self.more():
                kind, statement, values = self.operation(rng)
                try:
                    connection.execute(statement.encode(), values)
                except psycopg.errors.DeadlockDetected:
                    kind = "deadlock, refused"
                except psycopg.Error as error:
                    self.unexpected.append(f"{kind}: {error}")
                with self._lock:
                    self.done[kind] += 1

    def operation(self, rng: np.random.Generator) -> tuple[str, str, list[object]]:
        name = table(str(rng.choice(METHODS)))
        key = int(rng.integers(self.keys))
        drawn = rng.random()
        if drawn < 0.6:
            call = f"SELECT * FROM colbert.search('{name}', %s::text[]::vector[])"
            return "search", call, [document(rng, 6)]
        if drawn < 0.8:
            update = f"UPDATE {name} SET embeddings = %s::text[]::vector[] WHERE id = %s"
            return "update", update, [document(rng), key]
        if drawn < 0.9:
            insert = (
                f"INSERT INTO {name} VALUES (%s, %s::text[]::vector[]) ON CONFLICT (id) "
                "DO UPDATE SET embeddings = excluded.embeddings"
            )
            return "insert or update", insert, [key, document(rng)]
        if drawn < 0.9985:
            return "delete", f"DELETE FROM {name} WHERE id = %s", [key]
        function = "repair_index" if drawn < 0.9995 else "reindex"
        return function, f"SELECT colbert.{function}('{name}')", []


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--operations", type=int, default=20000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--documents", type=int, default=1500)
    given = parser.parse_args()
    with database(given.url) as connection:
        prepare(connection, given.documents)
        before = {method: state(connection, method) for method in METHODS}
        soak = Soak(connection.info.dsn, given.operations, given.seconds, given.documents)
        started = time.monotonic()
        clients = [threading.Thread(target=soak.client, args=[n]) for n in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        took = time.monotonic() - started
        for method in METHODS:
            connection.execute(f"ANALYZE {table(method)}".encode())
        after = {method: state(connection, method) for method in METHODS}
        for method in METHODS:
            connection.execute("SELECT colbert.reindex(%s)", [table(method)])
        rebuilt = {method: state(connection, method) for method in METHODS}

        print(circumstances(connection))
        print(f"{CLIENTS} clients, {sum(soak.done.values())} operations in {took:.0f} s:")
        print("  " + ", ".join(f"{count} {kind}" for kind, count in soak.done.most_common()))
        print(f"\n{'':10}{'':9}{'documents':>10}{'differences':>12}{'recall@10':>10}"
              f"{'median':>9}{'p95':>9}{'size':>10}")  # fmt: skip
        for method in METHODS:
            for when, figures in (("before", before), ("after", after), ("reindexed", rebuilt)):
                f = figures[method]
                print(
                    f"{method if when == 'before' else '':10}{when:9}{f['documents']:>10}"
                    f"{f['differences']:>12}{f['recall']:>10.3f}{f['milliseconds']:>6.1f} ms"
                    f"{f['p95']:>6.1f} ms{f['megabytes']:>7.1f} MB"
                )
        differences = sum(
            f["differences"] for figures in (after, rebuilt) for f in figures.values()
        )
        if soak.unexpected or differences:
            raise SystemExit("\n".join(["the soak has found something", *soak.unexpected]))


if __name__ == "__main__":
    main()
