"""pg_upgrade from PostgreSQL 16 to 18: indexes go over as they are, and go on."""

import os
from collections.abc import Iterator

import numpy as np
import psycopg
import pytest

from tests.installing import install_as_extension, install_with_psql
from tests.servers import Cluster, offer_extension, private_binaries, private_directory
from tests.sql.documents import (
    METHODS,
    Matrix,
    create_index,
    create_table,
    insert,
    problems,
    run,
    search,
    unit,
    unit_documents,
)

WAYS = {"as_extension": install_as_extension, "with_psql": install_with_psql}


@pytest.fixture
def clusters() -> Iterator[tuple[Cluster, Cluster]]:
    """Two servers of our own that do not run, 16 and 18, each with its empty data directory."""
    if os.environ.get("COLBERT_PG_TEST_POSTGRES", "18") != "18":
        pytest.skip("both versions take part wherever this runs: once is enough")
    with private_directory() as old, private_directory() as new:
        made = []
        for version, directory in ((16, old), (18, new)):
            binaries = private_binaries(version, directory)
            settings = offer_extension(version, binaries, directory)
            cluster = Cluster(binaries, directory, settings)
            cluster.create(*(["--no-data-checksums"] if version == 18 else []))
            made.append(cluster)
        yield made[0], made[1]


def test_indexes_go_over_to_postgresql_18(
    clusters: tuple[Cluster, Cluster], rng: np.random.Generator
) -> None:
    old, new = clusters
    query: Matrix = unit(rng, 5, 3)
    found = {}
    old.start()
    for name, install in WAYS.items():
        with psycopg.connect(old.server.conninfo(), autocommit=True) as connection:
            run(connection, f"CREATE DATABASE {name}")
        with psycopg.connect(old.server.conninfo(name)) as connection:
            run(connection, "CREATE EXTENSION vector")
        install(old.server.conninfo(name))
        with psycopg.connect(old.server.conninfo(name)) as connection:
            for method in METHODS:
                create_table(connection, method)
                insert(connection, unit_documents(rng, 20), method)
                create_index(connection, method, f", method => '{method}'")
                found[name, method] = search(connection, query, ", k => 7", name=method)
    old.stop("fast")
    new.run(
        "pg_upgrade",
        f"--old-bindir={old.binaries}",
        f"--new-bindir={new.binaries}",
        f"--old-datadir={old.data}",
        f"--new-datadir={new.data}",
        f"--socketdir={new.directory}",
        "--username=postgres",
        "--no-sync",
    )
    new.start()
    try:
        for name in WAYS:
            with psycopg.connect(new.server.conninfo(name)) as connection:
                for method in METHODS:
                    there = search(connection, query, ", k => 7", name=method)
                    assert there == found[name, method]
                    assert problems(connection, method) == []
                    insert(connection, {101: unit(rng, 2, 3)}, method)
                    run(connection, f"DELETE FROM {method} WHERE id = 4")
                    run(connection, f"SELECT colbert.reindex('{method}')")
                    assert problems(connection, method) == []
                create_table(connection, "another")
                create_index(connection, "another")
                states = run(connection, "SELECT DISTINCT state FROM colbert.indexes")
                assert states == [("ready",)]
    finally:
        new.stop()
