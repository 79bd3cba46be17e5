"""A server of our own to kill, and databases on it."""

import itertools
from collections.abc import Iterator

import psycopg
import pytest

from tests.faults.damage import chosen_version
from tests.installing import INSTALL_SQL
from tests.servers import Cluster, embedded_cluster

_numbers = itertools.count(1)

SETTINGS = {
    "full_page_writes": "on",
    "max_parallel_maintenance_workers": "0",
    "wal_level": "logical",
    "restart_after_crash": "on",
    "synchronous_commit": "on",
}


@pytest.fixture(scope="session")
def own_cluster() -> Iterator[Cluster]:
    """A running server that a test may kill, of the version that the other tests run on."""
    with embedded_cluster(chosen_version(), SETTINGS, "--wal-segsize=1") as cluster:
        with psycopg.connect(cluster.server.conninfo("template1")) as connection:
            connection.execute("CREATE EXTENSION vector")
            connection.execute(INSTALL_SQL.read_bytes())
        yield cluster


@pytest.fixture
def own_database(own_cluster: Cluster) -> Iterator[str]:
    """Connection string of a fresh database with colbert_pg on that server."""
    name = f"faults_{next(_numbers)}"
    execute(own_cluster, f"CREATE DATABASE {name}")
    yield own_cluster.server.conninfo(name)
    execute(own_cluster, f"DROP DATABASE {name} WITH (FORCE)")


def execute(cluster: Cluster, statement: str) -> None:
    with psycopg.connect(cluster.server.conninfo(), autocommit=True) as connection:
        connection.execute(statement.encode())
