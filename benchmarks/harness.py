"""What the benchmarks share: a server, timing, tables, and where figures come from."""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import psycopg

from colbert_pg.embedded import EmbeddedServer
from colbert_pg.install import install
from colbert_pg.vectors import VECTOR_TYPES, VectorTypes, register

Connection = psycopg.Connection[tuple[Any, ...]]

CACHE = Path(platformdirs.user_cache_dir("colbert_pg", appauthor=False)) / "benchmarks"


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the option that every benchmark has."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--url", help="a database to use: its benchmark_ tables are replaced")
    return parser


@dataclass(frozen=True)
class Server:
    """The PostgreSQL that a benchmark measures, with pgvector and colbert_pg in its database.

    Attributes:
        dsn: of the database.
        embedded: the server, where it is the benchmark's own; None behind a URL.
    """

    dsn: str
    embedded: EmbeddedServer | None

    def connect(self) -> Connection:
        """A session in autocommit mode that sends and returns token vectors in binary."""
        connection = psycopg.connect(self.dsn, autocommit=True)
        types = connection.execute(VECTOR_TYPES).fetchone()
        assert types is not None
        register(connection, VectorTypes(*types))
        return connection

    def restart(self) -> str:
        """Restart the benchmark's own server with cold caches; returns what is cold."""
        assert self.embedded is not None
        self.embedded.stop()
        told = hasattr(os, "posix_fadvise")
        for file in self.embedded.directory.rglob("*") if told else ():
            if file.is_file():
                descriptor = os.open(file, os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)
        self.embedded.start()
        return "PostgreSQL's cache" + (" and the system's of its files" if told else "")


@contextmanager
def running(url: str | None) -> Iterator[Server]:
    """The server behind the URL; without one, a new server in a temporary directory."""
    if url is not None:
        _prepare(url)
        yield Server(url, None)
        return
    with (
        tempfile.TemporaryDirectory(prefix="colbert_pg-benchmark-") as directory,
        EmbeddedServer(directory) as server,
    ):
        _prepare(server.url)
        yield Server(server.url, server)


@contextmanager
def database(url: str | None) -> Iterator[Connection]:
    """A connection in autocommit mode to a database with pgvector and colbert_pg."""
    with running(url) as server, psycopg.connect(server.dsn, autocommit=True) as connection:
        yield connection


def _prepare(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        install(connection)


def setting(connection: Connection, name: str, value: object) -> None:
    """``SET name = value`` for the session."""
    connection.execute("SELECT set_config(%s, %s, false)", (name, str(value)))


def medians(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each, run in turns so that a noisy moment hits all of them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            seconds[name].append(timed(run))
    return {name: statistics.median(times) for name, times in seconds.items()}


def timed(run: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def circumstances(connection: Connection) -> str:
    """Versions, cores and PostgreSQL's memory, for the first line of every result."""
    row = connection.execute(
        "SELECT current_setting('server_version'), extversion, colbert.version(),"
        "       current_setting('shared_buffers'),"
        "       coalesce(current_setting('huge_pages_status', true), 'unknown')"
        "  FROM pg_extension WHERE extname = 'vector'"
    ).fetchone()
    assert row is not None
    server, vector, version, buffers, pages = row
    return (
        f"PostgreSQL {server}, pgvector {vector}, colbert_pg {version}, {os.cpu_count()} cores,"
        f" {buffers} of shared buffers, huge pages {pages}"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under their names, words to the left and numbers to the right.

    A row of fewer cells than the header ends in a remark, which may be as long as it likes.
    """
    aligned = [row if len(row) == len(header) else row[:-1] for row in rows]
    columns = [[row[c] for row in aligned if c < len(row)] for c in range(len(header))]
    widths = [max(map(len, [n, *cells])) for n, cells in zip(header, columns, strict=True)]
    words = [any(cell[:1].isalpha() for cell in cells) for cells in columns]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(cells, widths, words, strict=False)
        ]
        if len(cells) < len(header):
            padded[-1] = cells[-1]
        return "  ".join(padded).rstrip()

    return "\n".join(line(row) for row in [header, *rows])
