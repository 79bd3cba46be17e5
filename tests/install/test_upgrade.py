"""A database that an earlier release was installed in becomes what a fresh install gives."""

from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import errors

from tests.install.snapshot import snapshot
from tests.installing import (
    alembic,
    install_with_alembic,
    install_with_psql,
    install_with_python,
)
from tests.servers import SQL

# What each release has.
METHODS = {
    "0.1.0": ["exact", "hnsw", "ivfflat"],
    "0.2.0": ["exact", "hnsw", "ivfflat", "plaid"],
}
RELEASES = sorted(folder.name for folder in (SQL / "released").iterdir())


@dataclass(frozen=True)
class Way:
    """How a release is installed, given its version, and how that is brought up to date."""

    install: Callable[[str, str], None]
    upgrade: Callable[[str], None]


def install_script(conninfo: str, release: str) -> None:
    install_with_psql(conninfo, SQL / "released" / release / "install.sql")


def install_extension(conninfo: str, release: str) -> None:
    execute(conninfo, f"CREATE EXTENSION colbert_pg VERSION '{release}'")


def upgrade_extension(conninfo: str) -> None:
    execute(conninfo, "ALTER EXTENSION colbert_pg UPDATE")


def install_revision(conninfo: str, release: str) -> None:
    alembic(conninfo, "upgrade", f"{RELEASES.index(release) + 1:04}")


def execute(conninfo: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(conninfo) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


WAYS = {
    "psql": Way(install_script, install_with_psql),
    "extension": Way(install_extension, upgrade_extension),
    "alembic": Way(install_revision, install_with_alembic),
    "python": Way(install_script, install_with_python),
}

ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
releases = pytest.mark.parametrize("release", RELEASES)


@pytest.fixture
def second_database(new_database: Callable[[], str]) -> str:
    """Another database with pgvector and nothing of colbert_pg."""
    conninfo = new_database()
    execute(conninfo, "CREATE EXTENSION vector")
    return conninfo


@releases
@ways
def test_upgraded_is_as_fresh(
    way: Way, release: str, vector_database: str, second_database: str
) -> None:
    way.install(vector_database, release)
    assert execute(vector_database, "SELECT colbert.version()") == [(release,)]
    before = snapshot(vector_database)
    way.upgrade(vector_database)
    install_with_psql(second_database)
    fresh = snapshot(second_database)
    assert snapshot(vector_database) == fresh
    assert before != fresh


@releases
@ways
def test_indexes_of_a_release_go_on_after_the_upgrade(
    way: Way, release: str, vector_database: str
) -> None:
    way.install(vector_database, release)
    for method in METHODS[release]:
        execute(
            vector_database,
            f"""
            CREATE TABLE {method}_notes (id bigint PRIMARY KEY, embeddings vector(2)[]);
            INSERT INTO {method}_notes VALUES (1, '{{"[1,0]","[0,1]"}}'), (2, '{{"[0,1]"}}');
            SELECT colbert.create_index('{method}_notes', method => '{method}')
            """,
        )
    way.upgrade(vector_database)
    for method in METHODS[release]:
        execute(
            vector_database,
            f"""
            INSERT INTO {method}_notes VALUES (3, '{{"[0.6,0.8]"}}');
            UPDATE {method}_notes SET embeddings = '{{"[1,0]"}}' WHERE id = 2;
            DELETE FROM {method}_notes WHERE id = 1
            """,
        )
        check = f"SELECT * FROM colbert.check_index('{method}_notes')"
        search = (
            f"SELECT doc_id, score FROM colbert.search('{method}_notes', '{{\"[1,0]\"}}'::vector[])"
        )
        found = [(2, 1.0), (3, pytest.approx(0.6))]
        assert execute(vector_database, check) == []
        assert execute(vector_database, search) == found
        execute(vector_database, f"SELECT colbert.reindex('{method}_notes')")
        assert execute(vector_database, search) == found
        execute(vector_database, f"SELECT colbert.drop_index('{method}_notes')")


@ways
@pytest.mark.parametrize("method", METHODS["0.2.0"])
def test_texts_of_a_release_are_encoded_after_the_upgrade(
    way: Way, method: str, vector_database: str
) -> None:
    way.install(vector_database, "0.2.0")
    execute(
        vector_database,
        f"""
        CREATE TABLE notes (id bigint PRIMARY KEY, content text, embeddings vector(2)[]);
        SELECT colbert.create_index('notes', method => '{method}',
                                    options => '{{"text": "content"}}');
        INSERT INTO notes VALUES (1, 'one', '{{"[1,0]"}}'), (2, 'two', NULL);
        SELECT colbert.claim_pending('notes');
        SELECT colbert.report_failure('notes', '2', 'two', 'failed')
        """,
    )
    way.upgrade(vector_database)
    failures = "SELECT doc_id, attempts FROM colbert.failures"
    assert execute(vector_database, failures) == [("2", 1)]
    assert execute(vector_database, "SELECT colbert.retry_failures('notes')") == [(1,)]
    claimed = execute(vector_database, "SELECT * FROM colbert.claim_pending('notes')")
    assert claimed == [("2", "two")]
    stored = "SELECT colbert.store_encoded('notes', '2', 'two', '{\"[0,1]\"}'::vector[])"
    assert execute(vector_database, stored) == [(True,)]
    assert execute(vector_database, "SELECT * FROM colbert.check_index('notes')") == []
    execute(vector_database, "DROP TABLE notes_embeddings_attempts")
    states = "SELECT state FROM colbert.indexes"
    assert execute(vector_database, states) == [("broken",)]
    execute(vector_database, "SELECT colbert.repair_index('notes')")
    assert execute(vector_database, states) == [("ready",)]
    search = "SELECT doc_id FROM colbert.search('notes', '{\"[0,1]\"}'::vector[], k => 1)"
    assert execute(vector_database, search) == [(2,)]


@releases
def test_downgrade_installs_the_release_before_anew(release: str, vector_database: str) -> None:
    install_revision(vector_database, release)
    before = snapshot(vector_database)
    install_with_alembic(vector_database)
    alembic(vector_database, "downgrade", f"{RELEASES.index(release) + 1:04}")
    assert snapshot(vector_database) == before


def test_downgrade_is_refused_while_there_are_indexes(vector_database: str) -> None:
    install_with_alembic(vector_database)
    execute(
        vector_database,
        "CREATE TABLE notes (id bigint PRIMARY KEY, embeddings vector(2)[]);"
        "SELECT colbert.create_index('notes')",
    )
    before = snapshot(vector_database)
    with pytest.raises(RuntimeError, match="still has indexes"):
        alembic(vector_database, "downgrade", "-1")
    assert snapshot(vector_database) == before


@releases
def test_upgrade_takes_over_nothing_that_stands_in_its_way(
    release: str, vector_database: str
) -> None:
    """A function of the new version's name that is not the extension's is left as it is."""
    install_extension(vector_database, release)
    before = snapshot(vector_database)
    execute(
        vector_database,
        "ALTER EXTENSION colbert_pg DROP FUNCTION colbert.version();"
        "CREATE OR REPLACE FUNCTION colbert.version() RETURNS text STABLE PARALLEL SAFE "
        "LANGUAGE sql RETURN 'planted'",
    )
    with pytest.raises(errors.Error, match="not a member of extension"):
        upgrade_extension(vector_database)
    assert execute(vector_database, "SELECT colbert.version()") == [("planted",)]
    assert snapshot(vector_database).keys() == before.keys()


@ways
@pytest.mark.parametrize(
    "call",
    [
        "search(NULL::regclass, NULL::vector[], k => 3)",
        "search(NULL::regclass, NULL::vector[], NULL::uuid)",
        "rerank(NULL::regclass, NULL::vector[], ARRAY[1])",
        "measure_recall(NULL::regclass)",
    ],
)
def test_a_view_on_what_goes_is_named_and_nothing_is_upgraded(
    way: Way, call: str, vector_database: str
) -> None:
    way.install(vector_database, "0.2.0")
    before = snapshot(vector_database)
    execute(vector_database, f"CREATE VIEW reports AS SELECT * FROM colbert.{call}")
    with pytest.raises((psycopg.Error, RuntimeError), match="view reports depends on"):
        way.upgrade(vector_database)
    execute(vector_database, "SELECT FROM reports LIMIT 0")
    assert execute(vector_database, "SELECT colbert.version()") == [("0.2.0",)]
    execute(vector_database, "DROP VIEW reports")
    assert snapshot(vector_database) == before
    way.upgrade(vector_database)


@releases
@ways
def test_a_view_on_what_stays_is_kept(way: Way, release: str, vector_database: str) -> None:
    way.install(vector_database, release)
    execute(
        vector_database,
        "CREATE VIEW reports AS SELECT colbert.maxsim(NULL::vector[], 1::bigint) AS score",
    )
    way.upgrade(vector_database)
    with pytest.raises(errors.UndefinedObject):
        execute(vector_database, "SELECT * FROM reports")
