"""uninstall.sql: nothing left behind, and nothing of the user's goes with it."""

from collections.abc import Callable

import psycopg
import pytest
from psycopg import errors

from tests.installing import install_with_psql
from tests.servers import SQL, as_role, psql

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


INDEXES = """
    CREATE TABLE notes (id bigint PRIMARY KEY, body text, embeddings vector(3)[]);
    CREATE TABLE "Old notes" (id bigint, embeddings vector(3)[], PRIMARY KEY (id))
      PARTITION BY HASH (id);
    CREATE TABLE part PARTITION OF "Old notes" FOR VALUES WITH (MODULUS 1, REMAINDER 0);
    CREATE TABLE tokens (id bigint PRIMARY KEY, embeddings vector(3)[])
"""
CREATE = """
    SELECT colbert.create_index('notes', options => '{"text": "body"}');
    SELECT colbert.create_index('"Old notes"', method => 'hnsw');
    SELECT colbert.create_index('tokens', method => 'exact')
"""
WRITES = """
    INSERT INTO notes (id, body) VALUES (1, 'a');
    UPDATE notes SET body = 'b', embeddings = '{"[1,0,0]"}';
    INSERT INTO "Old notes" VALUES (1, '{"[1,0,0]"}');
    INSERT INTO tokens VALUES (1, '{"[1,0,0]"}');
    TRUNCATE notes, "Old notes", tokens
"""


@pytest.mark.parametrize("again", [False, True])
def test_what_a_dropped_schema_leaves_is_cleared_away(vector_database: str, again: bool) -> None:
    with psycopg.connect(vector_database) as connection:
        connection.execute(INDEXES.encode())
    before = objects(vector_database)
    install_with_psql(vector_database)
    with psycopg.connect(vector_database) as connection:
        connection.execute(CREATE.encode())
        connection.execute(WRITES.encode())
        connection.execute("DROP SCHEMA colbert CASCADE")
        with pytest.raises(errors.InvalidSchemaName), connection.transaction():
            connection.execute("INSERT INTO notes VALUES (2)")
    if again:
        install_with_psql(vector_database)
    done = psql(vector_database, "-v", "ON_ERROR_STOP=1", "-f", str(UNINSTALL_SQL))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert objects(vector_database) == before
    with psycopg.connect(vector_database) as connection:
        connection.execute(WRITES.encode())


def test_what_a_dropped_extension_leaves_is_cleared_away(vector_database: str) -> None:
    with psycopg.connect(vector_database) as connection:
        connection.execute(INDEXES.encode())
    before = objects(vector_database)
    with psycopg.connect(vector_database) as connection:
        connection.execute("CREATE EXTENSION colbert_pg")
        connection.execute(CREATE.encode())
        connection.execute("DROP EXTENSION colbert_pg CASCADE; DROP SCHEMA colbert")
        connection.execute(SCRIPT)
    assert objects(vector_database) == before


def test_the_constraint_of_a_first_stage_is_cleared_away(vector_database: str) -> None:
    install_with_psql(vector_database)
    constraints = "SELECT conname FROM pg_constraint WHERE conrelid = 'notes'::regclass"
    with psycopg.connect(vector_database) as connection:
        connection.execute(
            "CREATE TABLE notes (id bigint PRIMARY KEY, whole vector(3)[], pooled vector(3)[],"
            " CONSTRAINT my_first_stage CHECK (id > 0))"
        )
        before = connection.execute(constraints).fetchall()
        connection.execute("SELECT colbert.create_index('notes', 'pooled')")
        connection.execute(
            "SELECT colbert.create_index('notes', 'whole',"
            """ options => '{"first_stage": "pooled"}')"""
        )
        assert len(connection.execute(constraints).fetchall()) == len(before) + 1
        connection.execute("DROP SCHEMA colbert CASCADE")
    done = psql(vector_database, "-v", "ON_ERROR_STOP=1", "-f", str(UNINSTALL_SQL))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with psycopg.connect(vector_database) as connection:
        assert connection.execute(constraints).fetchall() == before
        connection.execute("INSERT INTO notes (id, whole) VALUES (1, '{\"[1,0,0]\"}')")


COMMENT = "colbert_pg: part of late-interaction index 1. Derived data: do not edit."


@pytest.mark.parametrize(
    "mine",
    [
        "CREATE TABLE notes_embeddings_tokens (id int)",
        f"CREATE TABLE a (id int); COMMENT ON TABLE a IS '{COMMENT} Not so.'",
        f"CREATE TABLE a (id int); COMMENT ON COLUMN a.id IS '{COMMENT}'",
        f"CREATE VIEW a AS SELECT 1; COMMENT ON VIEW a IS '{COMMENT}'",
        f"CREATE SEQUENCE a; COMMENT ON SEQUENCE a IS '{COMMENT}'",
        f"CREATE TABLE a (id int); CREATE INDEX b ON a (id); COMMENT ON INDEX b IS '{COMMENT}'",
        "CREATE FUNCTION colbert_sync_1() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "CREATE FUNCTION colbert_sync_2() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END';"
        f"COMMENT ON FUNCTION colbert_sync_2() IS '{COMMENT}'",
        "CREATE FUNCTION colbert_sync_1(int) RETURNS int LANGUAGE sql AS 'SELECT 1';"
        f"COMMENT ON FUNCTION colbert_sync_1(int) IS '{COMMENT}'",
    ],
)
def test_what_only_looks_like_a_part_of_an_index_stays(vector_database: str, mine: str) -> None:
    with psycopg.connect(vector_database) as connection:
        connection.execute(mine.encode())
    before = objects(vector_database)
    with psycopg.connect(vector_database) as connection:
        connection.execute(SCRIPT)
    assert objects(vector_database) == before


def test_what_needs_a_leftover_is_named_and_all_is_kept(installed_database: str) -> None:
    with psycopg.connect(installed_database) as connection:
        connection.execute(INDEXES.encode())
        connection.execute(CREATE.encode())
        connection.execute("CREATE VIEW mine AS SELECT * FROM notes_embeddings_postings")
        connection.execute("DROP SCHEMA colbert CASCADE")
    before = objects(installed_database)
    with (
        psycopg.connect(installed_database) as connection,
        pytest.raises(errors.DependentObjectsStillExist, match="view mine depends on"),
    ):
        connection.execute(SCRIPT)
    assert objects(installed_database) == before


def test_leftovers_of_others_stay_and_are_named(
    installed_database: str, new_role: Callable[[], str]
) -> None:
    role, other = new_role(), new_role()
    with psycopg.connect(installed_database) as connection:
        connection.execute(INDEXES.encode())
        connection.execute(f"ALTER TABLE notes OWNER TO {role}".encode())
        connection.execute(CREATE.encode())
        connection.execute("DROP SCHEMA colbert CASCADE")
    before = objects(installed_database)
    stranger = psql(as_role(installed_database, other), "-f", str(UNINSTALL_SQL))
    assert "WARNING:  left behind: TRIGGER" in stranger.stderr
    assert f"FUNCTION public.colbert_sync_1() of role {role}" in stranger.stderr
    assert objects(installed_database) == before
    owner = psql(as_role(installed_database, role), "-f", str(UNINSTALL_SQL))
    assert "notes_embeddings_postings" not in owner.stderr
    assert "FUNCTION public.colbert_sync_2()" in owner.stderr
    assert [
        name for _, name in objects(installed_database) if "notes_embeddings_postings" in name
    ] == []
    last = psql(installed_database, "-f", str(UNINSTALL_SQL))
    assert (last.returncode, last.stderr) == (0, "")
    with psycopg.connect(installed_database) as connection:
        connection.execute(WRITES.encode())
