"""What the benchmarks share: a server, timing, and the lines that say where figures come from."""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg

from colbert_pg.embedded import EmbeddedServer
from colbert_pg.install import install

Connection = psycopg.Connection[tuple[Any, ...]]


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the option that every benchmark has."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--url", help="a database to use: its benchmark_ tables are replaced")
    return parser


@contextmanager
def database(url: str | None) -> Iterator[Connection]:
    """A connection in autocommit mode to a database with pgvector and colbert_pg."""
    if url is not None:
        with psycopg.connect(url, autocommit=True) as connection:
            _prepare(connection)
            yield connection
        return
    with (
        tempfile.TemporaryDirectory(prefix="colbert_pg-benchmark-") as directory,
        EmbeddedServer(directory) as server,
        psycopg.connect(server.url, autocommit=True) as connection,
    ):
        _prepare(connection)
        yield connection


def _prepare(connection: Connection) -> None:
    connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    install(connection)


def medians(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each, run in turns so that a noisy moment hits all of them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in seconds.items()}


def circumstances(connection: Connection) -> str:
    """Versions and cores, for the first line of every result."""
    row = connection.execute(
        "SELECT current_setting('server_version'), extversion, colbert.version()"
        "  FROM pg_extension WHERE extname = 'vector'"
    ).fetchone()
    assert row is not None
    return f"PostgreSQL {row[0]}, pgvector {row[1]}, colbert_pg {row[2]}, {os.cpu_count()} cores"
