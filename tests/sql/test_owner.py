"""An ordinary role owns tables and indexes; what it writes into the registry harms nobody else."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.servers import as_role
from tests.sql.documents import (
    AB,
    METHODS,
    B,
    create_index,
    create_table,
    insert,
    primary,
    refusal,
    run,
    search,
)


@pytest.fixture
def role(new_role: Callable[[], str], own_connection: psycopg.Connection) -> str:
    """A role that may create tables."""
    name = new_role()
    run(own_connection, f"GRANT CREATE ON SCHEMA public TO {name}")
    own_connection.commit()
    return name


@pytest.fixture
def owner(role: str, database: str) -> Iterator[psycopg.Connection]:
    """A connection of an ordinary role with a table documents of its own."""
    with psycopg.connect(as_role(database, role)) as connection:
        create_table(connection)
        insert(connection, {1: AB, 2: B})
        connection.commit()
        yield connection
        connection.rollback()


@pytest.fixture
def owned(owner: psycopg.Connection, own_connection: psycopg.Connection) -> psycopg.Connection:
    """The owner's connection, with an index that a superuser made."""
    create_index(own_connection)
    own_connection.commit()
    return owner


@pytest.mark.parametrize("method", METHODS)
def test_an_ordinary_owner_creates_checks_repairs_rebuilds_and_drops_an_index(
    owner: psycopg.Connection, method: str
) -> None:
    create_index(owner, "documents", f", method => '{method}'")
    insert(owner, {3: AB})
    assert run(owner, "SELECT * FROM colbert.check_index('documents')") == []
    assert run(owner, "SELECT colbert.repair_index('documents')") == [(0,)]
    run(owner, "SELECT colbert.reindex('documents')")
    assert search(owner, AB, ", k => 1") == [(1, 2.0)]
    run(owner, "SELECT colbert.drop_index('documents')")


@pytest.mark.parametrize("function", ["check_index", "repair_index", "reindex", "drop_index"])
def test_an_index_that_a_superuser_made_is_the_owners(
    owned: psycopg.Connection, function: str
) -> None:
    insert(owned, {3: AB})
    run(owned, f"SELECT colbert.{function}('documents')")


@pytest.mark.parametrize(
    "function", ["create_index", "drop_index", "check_index", "repair_index", "reindex"]
)
def test_another_role_may_not_touch_the_index(
    owned: psycopg.Connection,
    database: str,
    new_role: Callable[[], str],
    function: str,
) -> None:
    with psycopg.connect(as_role(database, new_role())) as stranger:
        error = refusal(stranger, f"SELECT colbert.{function}('public.documents')")
    assert error.sqlstate == "42501"
    assert "must be owner of table" in primary(error)


def test_another_role_reads_the_registry_and_cannot_write_it(
    owned: psycopg.Connection, database: str, new_role: Callable[[], str]
) -> None:
    with psycopg.connect(as_role(database, new_role())) as stranger:
        assert run(stranger, "SELECT state FROM colbert.indexes") == [("ready",)]
        assert run(stranger, "DELETE FROM colbert._index RETURNING id") == []
        assert run(stranger, "UPDATE colbert._index SET options = '{}' RETURNING id") == []
        error = refusal(
            stranger,
            "INSERT INTO colbert._index "
            "(source, embeddings, key, method, options, dimensions) "
            "SELECT source, 'other', key, method, options, dimensions FROM colbert._index",
        )
        assert error.sqlstate == "42501"


def test_options_that_an_owner_planted_do_not_run_as_the_one_who_reindexes(
    owned: psycopg.Connection, own_connection: psycopg.Connection
) -> None:
    planted = '{"m": "4); ALTER TABLE public.documents RENAME TO planted; --"}'
    run(owned, "UPDATE colbert._index SET options = %s", planted)
    owned.commit()
    try:
        with own_connection.transaction():
            run(own_connection, "SELECT colbert.reindex('documents')")
    except psycopg.Error:
        pass
    assert run(own_connection, "SELECT to_regclass('planted')::text") == [(None,)]


@pytest.mark.parametrize(
    "planted",
    [
        'options = \'{"triggers": 1, "lists": "x", "token_type": 2}\'',
        "options = '[]'",
        "key = 'x'",
        "dimensions = -1",
        "tables = '{0}'",
    ],
)
def test_a_planted_row_does_not_break_the_view_for_others(
    owned: psycopg.Connection,
    own_connection: psycopg.Connection,
    planted: str,
) -> None:
    create_table(own_connection, "others")
    create_index(own_connection, "others")
    own_connection.commit()
    run(owned, f"UPDATE colbert._index SET {planted} WHERE source = 'documents'::regclass")
    owned.commit()
    states = "SELECT source::text, state FROM colbert.indexes"
    assert ("others", "ready") in run(own_connection, states)


def test_a_planted_row_does_not_lead_to_the_tables_of_others(
    owned: psycopg.Connection, own_connection: psycopg.Connection
) -> None:
    create_table(own_connection, "others")
    insert(own_connection, {1: AB}, "others")
    create_index(own_connection, "others")
    own_connection.commit()
    run(
        owned,
        "UPDATE colbert._index SET tables = ARRAY['others'::regclass, "
        "'others_embeddings_tokens'::regclass] WHERE source = 'documents'::regclass",
    )
    owned.commit()
    run(own_connection, "SELECT colbert.drop_index('documents')")
    assert run(own_connection, "SELECT id FROM others") == [(1,)]
    assert search(own_connection, AB, name="others") == [(1, 2.0)]


def test_what_another_role_left_does_not_stop_create_index(
    owner: psycopg.Connection,
    own_connection: psycopg.Connection,
    database: str,
    new_role: Callable[[], str],
) -> None:
    create_index(own_connection, "documents", ", method => 'exact'")
    own_connection.commit()
    run(owner, "DROP TABLE documents")
    owner.commit()
    other = new_role()
    create_table(own_connection, "others")
    run(own_connection, f"ALTER TABLE others OWNER TO {other}; SET ROLE {other}")
    # The part of create_index that clears away, for it does not depend on who owns the rest.
    run(own_connection, "SELECT colbert._forget_dropped_sources()")
    own_connection.rollback()


@pytest.mark.parametrize("function", ["drop_index", "reindex"])
def test_a_new_owner_of_the_table_gets_the_index_too_once_it_is_repaired(
    owned: psycopg.Connection,
    own_connection: psycopg.Connection,
    database: str,
    new_role: Callable[[], str],
    function: str,
) -> None:
    heir = new_role()
    run(own_connection, f"GRANT CREATE ON SCHEMA public TO {heir}")
    run(own_connection, f"ALTER TABLE documents OWNER TO {heir}")
    states = run(own_connection, "SELECT state, advice FROM colbert.indexes")
    assert states == [("broken", "the table has a new owner, run repair_index as a superuser")]
    run(own_connection, "SELECT colbert.repair_index('documents')")
    assert run(own_connection, "SELECT state FROM colbert.indexes") == [("ready",)]
    own_connection.commit()
    try:
        with psycopg.connect(as_role(database, heir)) as connection_of_heir:
            run(connection_of_heir, f"SELECT colbert.{function}('documents')")
    finally:
        run(own_connection, f"REASSIGN OWNED BY {heir} TO CURRENT_USER; DROP OWNED BY {heir}")
        own_connection.commit()


def test_force_row_level_security_hides_from_the_owner_and_not_from_the_index(
    owned: psycopg.Connection, own_connection: psycopg.Connection
) -> None:
    run(
        owned,
        "ALTER TABLE documents ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; "
        "CREATE POLICY odd ON documents USING (id % 2 = 1) WITH CHECK (true)",
    )
    run(owned, "INSERT INTO documents VALUES (3, '{\"[0,1,0]\"}'), (4, '{\"[0,1,0]\"}')")
    assert search(owned, AB) == [(1, 2.0), (3, 1.0)]
    owned.commit()
    assert run(own_connection, "SELECT * FROM colbert.check_index('documents')") == []


@pytest.mark.parametrize("function", ["create_index", "check_index", "repair_index", "reindex"])
def test_an_owner_who_may_not_see_all_rows_is_told_who_has_to_do_it(
    owner: psycopg.Connection, own_connection: psycopg.Connection, function: str
) -> None:
    if function != "create_index":
        create_index(own_connection)
        own_connection.commit()
    run(owner, "ALTER TABLE documents ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    error = refusal(owner, f"SELECT colbert.{function}('documents')")
    assert error.sqlstate == "42501"
    assert 'row-level security may hide rows of table "public.documents" from role' in primary(
        error
    )
    assert "BYPASSRLS" in (error.diag.message_hint or "")


def test_a_token_type_that_an_owner_planted_is_refused(
    owned: psycopg.Connection, own_connection: psycopg.Connection
) -> None:
    planted = '{"token_type": "vector(3)); DROP TABLE documents; --"}'
    run(owned, "UPDATE colbert._index SET options = %s", planted)
    owned.commit()
    error = refusal(own_connection, "SELECT colbert.search('documents', ARRAY['[1,0,0]'::vector])")
    assert "unknown token type" in primary(error)


def test_an_unknown_method_cannot_be_planted(owned: psycopg.Connection) -> None:
    error = refusal(owned, "UPDATE colbert._index SET method = 'planted'")
    assert error.sqlstate == "23514"
