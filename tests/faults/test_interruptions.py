"""Stopped at any stage, a function has changed nothing, and works when it is run again."""

import numpy as np
import psycopg
import pytest

from tests.faults.damage import CATALOG, assert_sound, stages_passed, stop_at_stage
from tests.sql.documents import (
    METHODS,
    create_index,
    create_table,
    derived_tables,
    insert,
    primary,
    run,
    unit,
    unit_documents,
)

CANCEL = "PERFORM pg_cancel_backend(pg_backend_pid()); PERFORM pg_sleep(60);"
TIMEOUT = "PERFORM pg_sleep(60);"

STATEMENTS = {
    "create_index": "SELECT colbert.create_index('documents', method => '{method}')",
    "reindex": "SELECT colbert.reindex('documents')",
    "repair_index": "SELECT colbert.repair_index('documents')",
    "drop_index": "SELECT colbert.drop_index('documents')",
}


def prepare(connection: psycopg.Connection, function: str, method: str) -> None:
    """Leave the index as the function needs it to have work to do."""
    if function != "create_index":
        create_index(connection, "documents", f", method => '{method}'")
    if function == "repair_index":
        run(connection, "DROP FUNCTION colbert_sync_1 CASCADE")
        for table in derived_tables(connection):
            run(connection, f"DROP TABLE {table}")


# A timeout is a cancellation from within: one method shows it.
CASES = [
    *(("cancelled", function, method) for function in STATEMENTS for method in METHODS),
    *(("timed out", function, "hnsw") for function in STATEMENTS),
]


@pytest.mark.parametrize(("how", "function", "method"), CASES)
def test_a_function_that_is_stopped_at_any_stage_changes_nothing(
    own_connection: psycopg.Connection,
    rng: np.random.Generator,
    how: str,
    function: str,
    method: str,
) -> None:
    documents = unit_documents(rng, 12)
    create_table(own_connection)
    insert(own_connection, documents)
    prepare(own_connection, function, method)
    own_connection.commit()
    statement = STATEMENTS[function].format(method=method)
    for stage in range(1, 100):
        action = CANCEL if how == "cancelled" else TIMEOUT
        stop_at_stage(own_connection, stage, action)
        own_connection.commit()
        before = run(own_connection, CATALOG)
        own_connection.commit()
        if how == "timed out":
            run(own_connection, "SET LOCAL statement_timeout = '50ms'")
        try:
            run(own_connection, statement)
        except psycopg.errors.QueryCanceled as error:
            reason = primary(error)
            own_connection.rollback()
        else:
            if stages_passed(own_connection) < stage:
                break
            raise AssertionError(f"not stopped at stage {stage}")
        assert ("statement timeout" if how == "timed out" else "user request") in reason
        run(own_connection, "ALTER EVENT TRIGGER stop_at_stage DISABLE")
        own_connection.commit()
        assert run(own_connection, CATALOG) == before
    assert stage > 1 or (function == "reindex" and method == "exact"), "it was never stopped"
    if function == "drop_index":
        create_index(own_connection, "documents", f", method => '{method}'")
    assert_sound(own_connection, unit(rng, 4, 3), documents)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("function", ["create_index", "reindex", "repair_index"])
def test_a_timeout_at_any_moment_changes_nothing(
    own_connection: psycopg.Connection, rng: np.random.Generator, method: str, function: str
) -> None:
    """Between DDL commands, too: while documents are checked, tokens written, an index built."""
    documents = unit_documents(rng, 300, tokens=8)
    create_table(own_connection)
    insert(own_connection, documents)
    prepare(own_connection, function, method)
    own_connection.commit()
    before = run(own_connection, CATALOG)
    timeouts = [round(1.7**power) for power in range(1, 30)]
    for timeout in timeouts:
        own_connection.commit()
        run(own_connection, f"SET LOCAL statement_timeout = '{timeout}ms'")
        try:
            run(own_connection, STATEMENTS[function].format(method=method))
            own_connection.commit()
        except psycopg.errors.QueryCanceled:
            own_connection.rollback()
            assert run(own_connection, CATALOG) == before
        else:
            break
    assert timeout > timeouts[0], "it was never stopped"
    assert_sound(own_connection, unit(rng, 4, 3), documents)
