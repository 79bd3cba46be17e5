"""What the fault tests share: a stop at each stage of a function, and what must hold after it."""

import os

import psycopg
import pytest

from tests.sql.documents import (
    Documents,
    Matrix,
    Row,
    create_index,
    create_table,
    insert,
    problems,
    ranking,
    run,
    search,
)

# Everything that an index adds to a database: the same before and after a function that failed.
CATALOG = """
    SELECT 'relation', c.relname::text, c.relfilenode::text FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'function', p.proname, p.xmin::text FROM pg_proc p
     WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'colbert%'
    UNION ALL SELECT 'trigger', t.tgname, t.tgenabled::text FROM pg_trigger t
     WHERE t.tgname LIKE '!colbert%'
    UNION ALL SELECT 'policy', p.polname, p.polrelid::regclass::text FROM pg_policy p
     WHERE p.polrelid::regclass::text NOT LIKE 'colbert.%'
    UNION ALL SELECT 'registry', i.id::text, i::text FROM colbert._index i
    ORDER BY 1, 2, 3
"""


def chosen_version() -> int:
    """The version for servers of our own; skips where the tests run on somebody else's."""
    if os.environ.get("COLBERT_PG_TEST_URL"):
        pytest.skip("this server is not ours to kill")
    return int(os.environ.get("COLBERT_PG_TEST_POSTGRES", "18"))


def stop_at_stage(connection: psycopg.Connection, stage: int, action: str) -> None:
    """Run SQL (a PL/pgSQL statement) before the given DDL command, counted from 1.

    create_index, reindex, repair_index and drop_index are sequences of DDL commands: an event
    trigger sees every one of them, in whatever order a version has them.
    """
    run(
        connection,
        f"""
        DROP EVENT TRIGGER IF EXISTS stop_at_stage;
        DROP SEQUENCE IF EXISTS stages;
        CREATE SEQUENCE stages;
        CREATE OR REPLACE FUNCTION stop_at_stage() RETURNS event_trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF nextval('public.stages') = {stage} THEN
            {action}
          END IF;
        END $$;
        CREATE EVENT TRIGGER stop_at_stage ON ddl_command_start EXECUTE FUNCTION stop_at_stage();
        """,
    )


def stages_passed(connection: psycopg.Connection) -> int:
    """How many DDL commands there have been since stop_at_stage, and no more from now on."""
    run(connection, "ALTER EVENT TRIGGER stop_at_stage DISABLE")
    [(called, count)] = run(connection, "SELECT is_called, last_value FROM stages")
    return count if called else 0


def waits_for_lock(observer: psycopg.Connection, pid: int) -> bool:
    """Whether a backend waits for a lock."""
    statement = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
    return bool(run(observer, statement, pid))


def assert_sound(
    connection: psycopg.Connection, query: Matrix, documents: Documents, name: str = "documents"
) -> None:
    """The index differs from the arrays nowhere, and finds what NumPy finds."""
    assert problems(connection, name) == []
    expected = [(key, pytest.approx(score, abs=1e-5)) for key, score in ranking(query, documents)]
    assert search(connection, query, ", k => 1000", name=name) == expected
    found: list[Row] = search(connection, query, ", k => 3", name=name)
    assert found == expected[:3]


def documents_table(
    connection: psycopg.Connection, documents: Documents, method: str | None = None
) -> None:
    """Table documents with what is given, indexed by the method, if any; committed."""
    create_table(connection)
    insert(connection, documents)
    if method:
        create_index(connection, "documents", f", method => '{method}'")
    connection.commit()
