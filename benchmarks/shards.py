"""Search over shards beside one table: latency, recall, and what asking several servers costs.

    python -m benchmarks.shards --url URL [--documents 50000] [--tokens 60] [--shards 1 2 4 8]

The URL is a superuser's, of a server that has dblink and postgres_fdw: ``make bench-shards`` starts
the one of the gate. The shards are databases of that server, made and dropped here, so that they
share its cores and its disk: what is measured is the work of all shards and the cost of asking
them, not what several machines would win.

SciFact's documents come first, cut to so many tokens, then documents made of them (growth.py). They
fall to the shards by the hash of their key, as rows of a partitioned table do. The truth is brute
force.

For each number of shards: the search over all of them, the same with the effort of a table for each
(``SET colbert.share = 1``), and the slowest search of a single shard, asked by itself. ``scored``
and ``read`` are of all shards. The scatter is a search of ten documents on each shard, exact:
nearly nothing but asking.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import chain, islice, repeat
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import numpy as np
import psycopg
from psycopg.conninfo import make_conninfo

from benchmarks.growth import more_documents
from benchmarks.harness import (
    Connection,
    arguments,
    circumstances,
    running,
    setting,
    table,
    timed,
)
from benchmarks.measuring import Figures, Search, share_found, timed_search
from benchmarks.scifact import brute_force, collection
from colbert_pg.client import Client
from colbert_pg.vectors import Matrix

RESULT = Path(__file__).resolve().parent / "results" / "shards.txt"
PREFIX = "colbert_pg_benchmark_"
COLUMNS = "id bigint NOT NULL, embeddings halfvec(128)[]"
HEADER = ["shards", "what", "k", "ms", "p95", "recall", "scored", "read"]
CHUNK = 500
KS = (10, 100)
FEW = 10  # documents on each shard, where the scatter alone is measured
REPEATS = 50


class Cluster(NamedTuple):
    """Sessions with the server that is asked and with its shards."""

    asked: Connection
    shards: list[Connection]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--real", type=int, help="real documents to start with; default: all")
    parser.add_argument("--tokens", type=int, default=60, help="of a document; the rest is cut off")
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    if options.url is None:
        parser.error("--url is needed: make bench-shards starts a server")

    whole = collection(options.real, options.queries)
    real = [document[: options.tokens] for document in whole.documents]
    made = chain(real, more_documents(real))
    documents = list(islice(made, options.documents))
    scores = np.concatenate(
        [
            brute_force(documents[first : first + CHUNK], whole.queries)
            for first in range(0, len(documents), CHUNK)
        ]
    )
    with psycopg.connect(options.url, autocommit=True) as connection:
        rows: list[list[str]] = []
        head: list[str] = []
        for number in options.shards:
            with _cluster(connection, number) as cluster:
                head = head or [
                    circumstances(cluster.asked),
                    f"SciFact, {len(documents):,} documents of at most {options.tokens} tokens,"
                    f" from {len(real):,} on made of them, {sum(map(len, documents)):,} tokens;"
                    f" {len(whole.queries)} queries, plaid",
                    "shards are databases of one server, over its socket",
                ]
                for row in _measured(cluster, documents, whole.queries, scores):
                    rows.append([str(number), *row])
                    print(*rows[-1], sep="  ", flush=True)
            text = "\n".join([*head, "", table(HEADER, rows)])
            options.output.write_text(text + "\n")  # after each number: nothing is lost
    print(f"\n{text}")


@contextmanager
def _cluster(connection: Connection, number: int) -> Iterator[Cluster]:
    """New databases: the table is partitioned in the first one, over the others."""
    names = [f"{PREFIX}{i}" for i in range(number + 1)]
    with ExitStack() as stack:
        for name in names:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {name}")
            stack.callback(connection.execute, f"DROP DATABASE {name} WITH (FORCE)")
        servers = [
            stack.enter_context(running(make_conninfo(connection.info.dsn, dbname=name)))
            for name in names
        ]
        asked, *shards = (stack.enter_context(server.connect()) for server in servers)
        for shard in shards:
            for name in ("documents", "few"):
                shard.execute(f"CREATE TABLE {name} ({COLUMNS}, PRIMARY KEY (id))")
                shard.execute(f"ALTER TABLE {name} ALTER embeddings SET STORAGE EXTERNAL")
        _partition(asked, names[1:])
        yield Cluster(asked, shards)


def _partition(asked: Connection, shards: Sequence[str]) -> None:
    """Tables documents and few, over the databases of these names."""
    asked.execute("CREATE EXTENSION postgres_fdw; CREATE EXTENSION dblink")
    row = asked.execute(
        "SELECT split_part(current_setting('unix_socket_directories'), ',', 1),"
        " current_setting('port')"
    ).fetchone()
    assert row is not None
    for name in ("documents", "few"):
        asked.execute(f"CREATE TABLE {name} ({COLUMNS}) PARTITION BY HASH (id)")
    for number, database in enumerate(shards):
        asked.execute(
            f"CREATE SERVER shard_{number} FOREIGN DATA WRAPPER postgres_fdw"
            f" OPTIONS (host '{row[0]}', port '{row[1]}', dbname '{database}');"
            f"CREATE USER MAPPING FOR CURRENT_USER SERVER shard_{number}"
            f" OPTIONS (user '{asked.info.user}')"
        )
        for name in ("documents", "few"):
            asked.execute(
                f"CREATE FOREIGN TABLE {name}_{number} PARTITION OF {name} FOR VALUES WITH (MODULUS"
                f" {len(shards)}, REMAINDER {number}) SERVER shard_{number}"
                f" OPTIONS (schema_name 'public', table_name '{name}')"
            )


def _measured(
    cluster: Cluster, documents: Sequence[Matrix], queries: Sequence[Matrix], scores: Matrix
) -> Iterator[list[str]]:
    """Rows of the table, without the number of shards."""
    asked, shards = cluster
    started = time.perf_counter()
    placed = _placed(asked, len(documents), len(shards))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(_load, shards, placed, repeat(documents)))
    for name in ("documents", "few"):
        asked.execute(f"SELECT colbert.create_index('{name}', key => 'id')")
    taken = time.perf_counter() - started
    yield ["load and build, s", "-", f"{taken:.0f}", "-", "-", "-", "-"]

    yield ["scatter, in all", "10", *_times(asked, queries), "-", "-", "-"]
    yield ["scatter, a shard itself", "10", *_times(shards[0], queries), "-", "-", "-"]
    share = 1 / len(shards)
    for k in KS:
        yield ["search", str(k), *_figures(cluster, queries, scores, k, share)]
        if len(shards) > 1:
            yield ["search, share 1", str(k), *_figures(cluster, queries, scores, k, 1)]
        setting(shards[0], "colbert.share", share)
        slowest = [
            max(timed_search(Search("documents", k), shard, query)[0] for shard in shards)
            for query in queries
        ]
        figures = Figures(seconds=slowest)
        yield ["slowest shard itself", str(k), *figures.cells()[:2], "-", "-", "-"]


def _placed(asked: Connection, documents: int, shards: int) -> list[list[int]]:
    """The keys on each shard, as the partitioned table would route them."""
    rows = asked.execute(
        "SELECT r, array_agg(id ORDER BY id)"
        "  FROM generate_series(0, %(shards)s - 1) AS r, generate_series(0, %(last)s::bigint) AS id"
        " WHERE satisfies_hash_partition('documents'::regclass, %(shards)s, r, id)"
        " GROUP BY r ORDER BY r",
        {"shards": shards, "last": documents - 1},
    )
    return [keys for _, keys in rows]


def _load(shard: Connection, keys: Sequence[int], documents: Sequence[Matrix]) -> None:
    client = Client(shard)
    for name, some, method in (("documents", keys, "plaid"), ("few", keys[:FEW], "exact")):
        client.add(name, keys=some, embeddings=[documents[key] for key in some])
        shard.execute("SELECT colbert.create_index(%s, method => %s)", (name, method))
        shard.execute(f"VACUUM ANALYZE {name}")


def _times(connection: Connection, queries: Sequence[Matrix]) -> list[str]:
    """Median and 95th percentile of searches of few documents."""
    search = Search("few")
    for query in queries[:3]:
        search.scores(connection, query)
    seconds = [
        timed(lambda query=query: search.scores(connection, query))  # type: ignore[misc]
        for query in islice(chain.from_iterable([queries] * REPEATS), REPEATS)
    ]
    return Figures(seconds=seconds).cells()[:2]


def _figures(
    cluster: Cluster, queries: Sequence[Matrix], scores: Matrix, k: int, share: float
) -> list[str]:
    """Cells of a search over all shards. Each is explained first, which warms it."""
    search = Search("documents", k)
    setting(cluster.asked, "colbert.share", "1" if share == 1 else "")
    figures = Figures()
    recall, scored, read = [], [], []
    for number, query in enumerate(queries):
        counts = []
        for shard in cluster.shards:
            setting(shard, "colbert.share", share)
            counts.append(search.counts(shard, query))
        scored.append(sum(documents for documents, _ in counts))
        read.append(sum(rows for _, rows in counts))
        seconds, found = timed_search(search, cluster.asked, query)
        figures.seconds.append(seconds)
        recall.append(share_found(scores[:, number], found, k))
    figures.recall, figures.scored, figures.read = mean(recall), mean(scored), mean(read)
    cells = figures.cells()
    return [*cells[:2], *cells[3:]]


if __name__ == "__main__":
    main()
