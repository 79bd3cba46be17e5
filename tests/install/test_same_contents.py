"""Whichever way colbert_pg is installed, the database holds the same."""

from collections.abc import Callable

import psycopg
import pytest

from tests.install.snapshot import snapshot
from tests.installing import WAYS, install_with_psql


@pytest.mark.parametrize("way", [way for way in WAYS if way != "psql"])
def test_contents_are_those_of_a_psql_install(way: str, new_database: Callable[[], str]) -> None:
    by_psql, by_way = new_database(), new_database()
    for database in (by_psql, by_way):
        with psycopg.connect(database) as connection:
            connection.execute("CREATE EXTENSION vector")
    install_with_psql(by_psql)
    WAYS[way](by_way)
    assert snapshot(by_way) == snapshot(by_psql)


def test_snapshot_tells_every_kind_of_difference(database: str) -> None:
    """The comparison above is worth what the snapshot sees."""
    taken = snapshot(database)
    changes = [
        "REVOKE EXECUTE ON FUNCTION colbert.version() FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION colbert.version() TO PUBLIC",
        "ALTER FUNCTION colbert.version() VOLATILE",
        "COMMENT ON FUNCTION colbert.version() IS 'another'",
        "ALTER TABLE colbert._migration ALTER version DROP NOT NULL",
        "ALTER TABLE colbert._migration ADD CHECK (version <> '')",
        "CREATE INDEX ON colbert._migration (version)",
        "GRANT SELECT ON colbert._migration TO PUBLIC",
        "GRANT CREATE ON SCHEMA colbert TO PUBLIC",
        "INSERT INTO colbert._migration VALUES ('9999_another', '0.1.0')",
        "CREATE TYPE colbert.colour AS ENUM ('red')",
        "CREATE FUNCTION colbert.version(int) RETURNS int LANGUAGE sql RETURN $1",
    ]
    with psycopg.connect(database, autocommit=True) as connection:
        for change in changes:
            connection.execute(change)
            before, taken = taken, snapshot(database)
            assert taken != before, change
