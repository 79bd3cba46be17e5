"""check_index finds every difference between index and arrays; repair_index mends it."""

import threading

import numpy as np
import psycopg
import pytest

from tests.sql.documents import (
    AB,
    DERIVING,
    METHODS,
    create_index,
    create_table,
    insert,
    primary,
    problems,
    refusal,
    run,
    search,
    unit_documents,
)

TOKENS = "documents_embeddings_tokens"
ONE = """'{"[0,0,1]"}'::vector[]"""
UNSEEN = "SET session_replication_role = replica; {}; RESET session_replication_role"

DAMAGES = {
    "update unseen": (
        UNSEEN.format("UPDATE documents SET embeddings = '{\"[0,0,1]\"}' WHERE id IN (1, 2)"),
        [("stale document", "1"), ("stale document", "2")],
    ),
    "insert unseen": (
        UNSEEN.format("INSERT INTO documents VALUES (9, '{\"[0,0,1]\"}'), (10, NULL), (11, '{}')"),
        [("missing document", "9")],
    ),
    "delete unseen": (
        UNSEEN.format("DELETE FROM documents WHERE id = 1"),
        [("orphaned document", "1")],
    ),
    "key changed unseen": (
        UNSEEN.format("UPDATE documents SET id = 9 WHERE id = 1"),
        [("missing document", "9"), ("orphaned document", "1")],
    ),
    "emptied unseen": (
        UNSEEN.format("UPDATE documents SET embeddings = '{}' WHERE id = 1"),
        [("orphaned document", "1")],
    ),
    "set to NULL unseen": (
        UNSEEN.format("UPDATE documents SET embeddings = NULL WHERE id = 1"),
        [("orphaned document", "1")],
    ),
    "truncated unseen": (
        UNSEEN.format("TRUNCATE documents"),
        [("orphaned document", key) for key in ("1", "2", "3")],
    ),
    "tokens deleted": (f"DELETE FROM {TOKENS} WHERE doc_id = 1", [("missing document", "1")]),
    "a token deleted": (
        f"DELETE FROM {TOKENS} WHERE doc_id = 1 AND position = 1",
        [("stale document", "1")],
    ),
    "positions shifted": (
        f"UPDATE {TOKENS} SET position = position + 5 WHERE doc_id = 1",
        [("stale document", "1")],
    ),
    "tokens swapped": (
        f"UPDATE {TOKENS} SET position = -position WHERE doc_id = 1; "
        f"UPDATE {TOKENS} SET position = position + 3 WHERE doc_id = 1",
        [("stale document", "1")],
    ),
    "a token changed": (
        f"UPDATE {TOKENS} SET embedding = '[0,0,-1]' WHERE doc_id = 3",
        [("stale document", "3")],
    ),
    "triggers disabled": (
        "ALTER TABLE documents DISABLE TRIGGER ALL; DELETE FROM documents WHERE id = 1",
        [("trigger", None), ("orphaned document", "1")],
    ),
    "one trigger dropped": (
        'DROP TRIGGER "!colbert_sync_1" ON documents;  DELETE FROM documents WHERE id = 1',
        [("trigger", None), ("orphaned document", "1")],
    ),
    "trigger function dropped": (
        "DROP FUNCTION colbert_sync_1 CASCADE",
        [("trigger", None)],
    ),
    "token table dropped": (f"DROP TABLE {TOKENS}", [("missing table", None)]),
    "the index of pgvector dropped": (
        f"DROP INDEX {TOKENS}_embedding_idx",
        [("missing index", None)],
    ),
    "everything at once": (
        f"DROP TABLE {TOKENS}; DROP FUNCTION colbert_sync_1 CASCADE; "
        "DELETE FROM documents WHERE id = 1",
        [("trigger", None), ("missing table", None)],
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("mend", ["repair_index", "reindex"])
def test_every_damage_is_found_and_mended(
    own_documents: psycopg.Connection, damage: str, mend: str
) -> None:
    statement, expected = DAMAGES[damage]
    own_documents.commit()
    run(own_documents, statement)
    own_documents.commit()
    assert problems(own_documents) == expected
    [[mended]] = run(own_documents, f"SELECT colbert.{mend}('documents')")
    if mend == "repair_index" and "table" not in damage and "everything" not in damage:
        assert mended == len([row for row in expected if row[1] is not None])
    assert problems(own_documents) == []
    assert run(own_documents, "SELECT state FROM colbert.indexes") == [("ready",)]
    left = run(own_documents, "SELECT id FROM documents WHERE cardinality(embeddings) > 0")
    assert {row[0] for row in search(own_documents, AB)} == {row[0] for row in left}
    run(own_documents, "DELETE FROM documents")
    assert problems(own_documents) == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("unseen", "seen"),
    [
        ("DELETE FROM documents WHERE id = 1", "INSERT INTO documents VALUES (1, '{\"[0,0,1]\"}')"),
        ("DELETE FROM documents WHERE id = 1", "INSERT INTO documents VALUES (1, NULL)"),
        ("DELETE FROM documents WHERE id = 1", "UPDATE documents SET id = 1 WHERE id = 2"),
        (
            "UPDATE documents SET embeddings = embeddings || embeddings WHERE id = 1",
            "UPDATE documents SET embeddings = '{}' WHERE id = 1",
        ),
    ],
)
def test_a_write_mends_what_another_left_under_its_key_unseen(
    documents: psycopg.Connection, method: str, unseen: str, seen: str
) -> None:
    run(documents, "SELECT colbert.drop_index('documents')")
    create_index(documents, "documents", f", method => '{method}'")
    run(documents, UNSEEN.format(unseen))
    run(documents, seen)
    assert problems(documents) == []


@pytest.mark.parametrize(
    ("damage", "advice"),
    [
        ("triggers disabled", "is disabled, run repair_index"),
        ("one trigger dropped", 'trigger "!colbert_sync_1" is gone, run'),
        ("token table dropped", "a table of the index was dropped, run repair_index"),
        ("the index of pgvector dropped", "has no hnsw index, run repair_index"),
    ],
)
def test_the_view_says_what_is_broken(
    own_documents: psycopg.Connection, damage: str, advice: str
) -> None:
    own_documents.commit()
    run(own_documents, DAMAGES[damage][0])
    [[state, found]] = run(own_documents, "SELECT state, advice FROM colbert.indexes")
    assert state == "broken"
    assert advice in found


def test_the_view_counts_documents_tokens_and_bytes(documents: psycopg.Connection) -> None:
    run(documents, "SELECT colbert.reindex('documents')")
    [[size, *counts]] = run(
        documents,
        "SELECT index_bytes, source::text, embeddings::text, key::text, dimensions, options, "
        "documents, tokens FROM colbert.indexes",
    )
    assert counts == ["documents", "embeddings", "id", 3, {}, 5, 4]
    assert size > 0


@pytest.mark.parametrize("bad", ['{"[2,0,0]"}', '{"[1,0,0]",NULL}', '{{"[1,0,0]"},{"[1,0,0]"}}'])
@pytest.mark.parametrize("function", ["repair_index", "reindex"])
def test_bad_documents_are_named_and_taken_out_of_the_index(
    own_documents: psycopg.Connection, bad: str, function: str
) -> None:
    own_documents.commit()
    run(own_documents, UNSEEN.format(f"UPDATE documents SET embeddings = '{bad}' WHERE id = 1"))
    assert problems(own_documents) == [("bad document", "1"), ("orphaned document", "1")]
    [[mended]] = run(own_documents, f"SELECT colbert.{function}('documents')")
    assert mended in (0, "")
    assert problems(own_documents) == [("bad document", "1")]
    run(own_documents, "UPDATE documents SET embeddings = '{\"[1,0,0]\"}' WHERE id = 1")
    assert problems(own_documents) == []


def test_a_bad_document_does_not_keep_a_missing_table_from_being_mended(
    own_documents: psycopg.Connection,
) -> None:
    own_documents.commit()
    run(
        own_documents,
        UNSEEN.format("UPDATE documents SET embeddings = '{\"[2,0,0]\"}' WHERE id = 1"),
    )
    run(own_documents, f"DROP TABLE {TOKENS}")
    own_documents.commit()
    run(own_documents, "SELECT colbert.repair_index('documents')")
    assert problems(own_documents) == [("bad document", "1")]


def test_an_exact_index_is_checked_for_bad_documents_and_triggers(
    own_connection: psycopg.Connection, own_documents: psycopg.Connection
) -> None:
    run(own_connection, "SELECT colbert.drop_index('documents')")
    run(own_connection, "SELECT colbert.create_index('documents', method => 'exact')")
    own_connection.commit()
    run(own_connection, "ALTER TABLE documents DISABLE TRIGGER ALL")
    run(own_connection, "UPDATE documents SET embeddings = '{\"[2,0,0]\"}' WHERE id = 1")
    assert problems(own_connection) == [("trigger", None), ("bad document", "1")]
    run(own_connection, "SELECT colbert.repair_index('documents')")
    assert problems(own_connection) == [("bad document", "1")]


@pytest.mark.parametrize("method", DERIVING)
def test_a_sample_of_the_documents_is_checked_another_each_time(
    connection: psycopg.Connection, rng: np.random.Generator, method: str
) -> None:
    create_table(connection)
    insert(connection, unit_documents(rng, 300))
    create_index(connection, "documents", f", method => '{method}'")
    check = "SELECT doc_id FROM colbert.check_index('documents', sample => %s)"
    assert run(connection, check, 0.1) == []
    run(connection, UNSEEN.format("UPDATE documents SET embeddings = '{\"[0,0,1]\"}'"))
    first, second = (set(run(connection, check, 0.1)) for _ in range(2))
    assert all(0 < len(found) < 120 for found in (first, second))
    assert first != second
    assert len(run(connection, check, 1)) == 300
    for sample in (0, -1, 1.5, None, "NaN"):
        error = refusal(
            connection, "SELECT * FROM colbert.check_index('documents', NULL, %s)", sample
        )
        assert (error.sqlstate, primary(error)[:22]) == ("22023", "sample must be a share")


def test_check_changes_nothing_and_runs_read_only(own_documents: psycopg.Connection) -> None:
    own_documents.commit()
    run(own_documents, DAMAGES["update unseen"][0])
    own_documents.commit()
    run(own_documents, "SET TRANSACTION READ ONLY")
    assert len(problems(own_documents)) == len(problems(own_documents)) == 2


def test_check_runs_in_repeatable_read(own_documents: psycopg.Connection) -> None:
    own_documents.commit()
    run(own_documents, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    assert problems(own_documents) == []


def test_triggers_set_to_always_count_as_enabled(own_documents: psycopg.Connection) -> None:
    own_documents.commit()
    run(own_documents, 'ALTER TABLE documents ENABLE ALWAYS TRIGGER "!colbert_sync_1"')
    assert problems(own_documents) == []
    run(own_documents, UNSEEN.format("DELETE FROM documents WHERE id = 1"))
    assert problems(own_documents) == []


def test_repair_leaves_triggers_that_always_fire_as_they_are(
    own_documents: psycopg.Connection,
) -> None:
    """Or a subscriber of logical replication would fall behind from then on."""
    run(
        own_documents,
        'ALTER TABLE documents ENABLE ALWAYS TRIGGER "!colbert_sync_1"; '
        'DROP TRIGGER "!colbert_truncate_1" ON documents',
    )
    run(own_documents, "SELECT colbert.repair_index('documents')")
    statement = "SELECT tgenabled::text FROM pg_trigger WHERE NOT tgisinternal"
    assert run(own_documents, statement) == [("A",), ("A",)]


def test_a_source_that_lost_its_column_cannot_be_checked(documents: psycopg.Connection) -> None:
    run(documents, "ALTER TABLE documents RENAME embeddings TO vectors")
    error = refusal(documents, "SELECT * FROM colbert.check_index('documents')")
    assert error.sqlstate == "42703"


def test_only_the_trigger_that_is_broken_is_made_anew(
    own_documents: psycopg.Connection,
) -> None:
    own_documents.commit()
    run(own_documents, 'ALTER TABLE documents DISABLE TRIGGER "!colbert_sync_1"')
    run(own_documents, "SELECT colbert.repair_index('documents')")
    enabled = "SELECT DISTINCT tgenabled FROM pg_trigger WHERE NOT tgisinternal"
    assert run(own_documents, enabled) == [("O",)]


def test_a_broken_installation_says_so(documents: psycopg.Connection) -> None:
    run(
        documents,
        "ALTER FUNCTION colbert._tokens_problems(colbert._index, float8, text) RENAME TO _gone",
    )
    error = refusal(documents, "SELECT * FROM colbert.check_index('documents')")
    assert error.sqlstate == "42883"
    assert "function colbert._tokens_problems(" in (error.diag.message_primary or "")


@pytest.mark.parametrize(
    "damage", [f"DROP TABLE {TOKENS}", "ALTER TABLE documents DISABLE TRIGGER USER"]
)
def test_a_repair_that_waited_for_another_change_looks_again(
    own_documents: psycopg.Connection, database: str, damage: str
) -> None:
    run(own_documents, damage)
    own_documents.commit()
    run(own_documents, "SELECT colbert.repair_index('documents')")
    if "TRIGGER" in damage:
        run(own_documents, "SELECT colbert.drop_index('documents')")
        create_index(own_documents)
    failed: list[psycopg.Error] = []

    def repair() -> None:
        with psycopg.connect(database) as other:
            try:
                run(other, "SELECT colbert.repair_index('documents')")
            except psycopg.Error as error:
                failed.append(error)

    thread = threading.Thread(target=repair)
    thread.start()
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with psycopg.connect(database, autocommit=True) as observer:
        while run(observer, waiting) == [(0,)]:
            pass
    own_documents.commit()
    thread.join()
    assert failed == []
    run(own_documents, f"INSERT INTO documents VALUES (77, {ONE})")
    assert problems(own_documents) == []


@pytest.mark.parametrize("method", DERIVING)
def test_the_type_of_an_array_that_something_is_derived_from_cannot_change(
    connection: psycopg.Connection, method: str
) -> None:
    """Such a change runs no trigger: the index would answer from vectors that are gone."""
    create_table(connection)
    create_index(connection, "documents", f", method => '{method}'")
    change = (
        "ALTER TABLE documents ALTER embeddings TYPE halfvec(3)[] USING embeddings::halfvec(3)[]"
    )
    assert primary(refusal(connection, change)).startswith("cannot alter type of a column")
    run(connection, "SELECT colbert.drop_index('documents')")
    run(connection, change)
    create_index(connection, "documents", f", method => '{method}'")
    assert run(connection, "SELECT state FROM colbert.indexes") == [("ready",)]


def test_other_dimensions_of_an_array_that_nothing_is_derived_from_are_seen(
    connection: psycopg.Connection,
) -> None:
    create_table(connection)
    insert(connection, {1: AB})
    create_index(connection, "documents", ", method => 'exact'")
    for kind, state in (
        ("halfvec(3)", "ready: "),
        ("halfvec(2)", 'broken: column "embeddings" has vectors of 2 dimensions now, drop the'),
    ):
        run(
            connection,
            f"""ALTER TABLE documents ALTER embeddings TYPE {kind}[]
                USING ARRAY['{[1, 0, 0][: int(kind[-2])]}']::{kind}[]""",
        )
        [[found]] = run(connection, "SELECT concat(state, ': ', advice) FROM colbert.indexes")
        assert found.startswith(state)
