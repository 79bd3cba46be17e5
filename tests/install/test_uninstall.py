"""uninstall.sql: nothing left behind, and nothing of the user's goes with it."""

import psycopg
import pytest
from psycopg import errors

from tests.installing import install_with_psql
from tests.servers import SQL, psql

UNINSTALL_SQL = SQL / "uninstall.sql"
SCRIPT = UNINSTALL_SQL.read_bytes()


@pytest.fixture
def installed_database(vector_database: str) -> str:
    install_with_psql(vector_database)
    return vector_database


def objects(conninfo: str) -> list[tuple[str, ...]]:
    """Every object of the database's own, by its identity."""
    with psycopg.connect(conninfo) as connection:
        return connection.execute(
            """
            SELECT a.type, a.identity
              FROM (SELECT classid, objid FROM pg_depend UNION
                    SELECT classid, objid FROM pg_shdepend
                     WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()))
                   AS d (classid, objid),
                   pg_identify_object(d.classid, d.objid, 0) a
             WHERE d.objid >= 16384
               AND a.identity NOT LIKE 'pg_toast.%%'
             ORDER BY 1, 2
            """
        ).fetchall()


def test_nothing_is_left(vector_database: str) -> None:
    before = objects(vector_database)
    install_with_psql(vector_database)
    assert objects(vector_database) != before
    done = psql(vector_database, "-1", "-v", "ON_ERROR_STOP=1", "-f", str(UNINSTALL_SQL))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert objects(vector_database) == before


def test_where_nothing_is_installed_it_does_nothing(bare_database: str) -> None:
    with psycopg.connect(bare_database) as connection:
        connection.execute(SCRIPT)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE VIEW mine AS SELECT colbert.version()", "view"),
        ("CREATE TABLE mine (v text DEFAULT colbert.version())", "default value"),
        ("CREATE FUNCTION mine() RETURNS text LANGUAGE sql RETURN colbert.version()", "mine()"),
        ("CREATE TABLE mine (v text REFERENCES colbert._migration)", "constraint"),
        ("CREATE TABLE mine (v colbert._migration)", "column v"),
    ],
)
def test_what_needs_it_is_named_and_kept(
    statement: str, named: str, installed_database: str
) -> None:
    with psycopg.connect(installed_database) as connection:
        connection.execute(statement.encode())
        with pytest.raises(errors.DependentObjectsStillExist) as raised:
            connection.execute(SCRIPT)
        assert named in str(raised.value)


def test_an_index_is_named_and_kept(installed_database: str) -> None:
    with psycopg.connect(installed_database) as connection:
        connection.execute(
            "CREATE TABLE notes (id bigint PRIMARY KEY, embeddings vector(3)[]);"
            "SELECT colbert.create_index('notes', method => 'exact')"
        )
        with pytest.raises(errors.DependentObjectsStillExist) as raised:
            connection.execute(SCRIPT)
        assert "notes" in str(raised.value.diag.message_detail)


def test_extension_is_left_to_drop_extension(vector_database: str) -> None:
    with psycopg.connect(vector_database) as connection:
        connection.execute("CREATE EXTENSION colbert_pg")
        with pytest.raises(errors.ObjectNotInPrerequisiteState) as raised:
            connection.execute(SCRIPT)
        assert "DROP EXTENSION" in str(raised.value.diag.message_hint)
