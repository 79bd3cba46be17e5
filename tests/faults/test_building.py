"""Indexes that are built beside their writers: nothing is lost, and nobody waits."""

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import psycopg
import pytest
from psycopg import IsolationLevel, errors

from tests.faults.damage import assert_sound, documents_table, stages_passed, stop_at_stage
from tests.servers import as_role
from tests.sql.documents import (
    DERIVING,
    METHODS,
    Matrix,
    create_index,
    create_table,
    derived_tables,
    hint,
    insert,
    primary,
    problems,
    ranking,
    refusal,
    run,
    search,
    texts,
    unit,
    unit_documents,
)
from tests.waiting import PATIENCE, wait_for

CREATE = "CALL colbert.create_index_concurrently('documents', method => '{}')"
REINDEX = "CALL colbert.reindex_concurrently('documents')"


@pytest.fixture
def committing(own_connection: psycopg.Connection) -> psycopg.Connection:
    """The connection in autocommit mode: procedures commit as they go."""
    own_connection.commit()
    own_connection.autocommit = True
    return own_connection


@pytest.fixture
def other(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def state(connection: psycopg.Connection) -> tuple[str, str | None]:
    [(state, advice)] = run(connection, "SELECT state, advice FROM colbert.indexes")
    return state, advice


def left_over(connection: psycopg.Connection) -> list[str]:
    """The tables beside documents that are there, whether the registry knows them or not."""
    statement = (
        "SELECT relname::text FROM pg_class WHERE relkind = 'r'"
        " AND relname LIKE 'documents_%' AND relname <> 'documents' ORDER BY 1"
    )
    return [name for (name,) in run(connection, statement)]


def put(connection: psycopg.Connection, key: int, document: Matrix) -> None:
    run(
        connection,
        "INSERT INTO documents (id, embeddings) VALUES (%s, %s::text[]::vector[])"
        " ON CONFLICT (id) DO UPDATE SET embeddings = EXCLUDED.embeddings",
        key,
        texts(document),
    )


def steps(connection: psycopg.Connection, method: str, build: str) -> Iterator[tuple[str, int]]:
    """Begin a build and do it step by step: yields how far it is before each of them."""
    if build == "new":
        run(
            connection,
            "SELECT colbert._begin_index('documents', 'embeddings', %s, '{}', NULL)",
            method,
        )
    else:
        run(connection, "SELECT colbert._begin_rebuild('documents', NULL, %s)", build == "kept")
    while found := run(connection, "SELECT phase, step, index_id FROM colbert._build"):
        [(phase, step, index_id)] = found
        yield phase, step
        run(connection, "SELECT colbert._build_step(%s)", index_id)


@pytest.mark.parametrize(
    ("method", "build"),
    [*((m, b) for m in METHODS for b in ("new", "anew")), ("plaid", "kept"), ("hnsw", "kept")],
)
def test_what_is_written_between_any_two_steps_is_in_the_index(
    committing: psycopg.Connection, rng: np.random.Generator, method: str, build: str
) -> None:
    """Inserted, changed, deleted, renamed, truncated: and searches are right all the time."""
    documents = unit_documents(rng, 40)
    query = unit(rng, 3, 3)
    documents_table(committing, documents, None if build == "new" else method)
    if build == "new" and method == "exact":
        assert run(committing, "SELECT count(*) FROM colbert._index") == [(0,)]
    key = 100
    for number, (phase, _) in enumerate(steps(committing, method, build)):
        documents[key] = unit(rng, 4, 3)
        put(committing, key, documents[key])
        first, second, third = list(documents)[:3]
        documents[first] = unit(rng, 5, 3)
        put(committing, first, documents[first])
        run(committing, "DELETE FROM documents WHERE id = %s", second)
        del documents[second]
        run(committing, "UPDATE documents SET id = %s WHERE id = %s", key + 500, third)
        documents[key + 500] = documents.pop(third)
        if number == 2:
            run(committing, "TRUNCATE documents")
            documents = unit_documents(rng, 30)
            insert(committing, documents)
        key += 1
        if phase != "retiring":
            expected = ranking(query, documents, 5)
            found = search(committing, query, ", k => 5")
            assert found == [(k, pytest.approx(s, abs=1e-5)) for k, s in expected], phase
    assert state(committing) == ("ready", None)
    assert_sound(committing, query, documents)
    assert left_over(committing) == sorted(derived_tables(committing))


@pytest.mark.parametrize("method", DERIVING)
def test_writers_and_searchers_at_work_notice_nothing(
    committing: psycopg.Connection, database: str, rng: np.random.Generator, method: str
) -> None:
    documents_table(committing, unit_documents(rng, 200))
    over = threading.Event()
    failures: list[BaseException] = []

    def write(first: int) -> None:
        random = np.random.default_rng(first)
        with psycopg.connect(database, autocommit=True) as connection:
            for count in range(10**6):
                if over.is_set():
                    return
                key = first + int(random.integers(60))
                if count % 4 == 3:
                    run(connection, "DELETE FROM documents WHERE id = %s", key)
                else:
                    put(connection, key, unit(random, 4, 3))

    def read() -> None:
        query = unit(np.random.default_rng(7), 3, 3)
        with psycopg.connect(database, autocommit=True) as connection:
            while not over.is_set():
                if run(connection, "SELECT 1 FROM colbert._index"):
                    assert len(search(connection, query, ", k => 10")) == 10

    def guarded(work: Callable[[], None]) -> threading.Thread:
        def run_it() -> None:
            try:
                work()
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run_it, daemon=True)
        thread.start()
        return thread

    threads = [guarded(lambda: write(1000)), guarded(lambda: write(1000)), guarded(read)]
    run(committing, CREATE.format(method))
    run(committing, REINDEX)
    over.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert failures == []
    assert problems(committing) == []
    assert state(committing) == ("ready", None)


def test_a_transaction_that_stays_open_makes_no_other_writer_wait(
    committing: psycopg.Connection,
    database: str,
    other: psycopg.Connection,
    rng: np.random.Generator,
) -> None:
    documents_table(committing, unit_documents(rng, 30))
    waits: list[float] = []
    with psycopg.connect(database) as long:
        run(long, "UPDATE documents SET embeddings = embeddings WHERE id = 1")
        builder = threading.Thread(target=run, args=[committing, CREATE.format("plaid")])
        builder.start()
        end = time.monotonic() + 4
        while time.monotonic() < end:
            started = time.monotonic()
            put(other, 2, unit(rng, 4, 3))
            waits.append(time.monotonic() - started)
        assert builder.is_alive()
        long.commit()
        builder.join(PATIENCE)
    assert max(waits) < 1
    assert problems(other) == []
    assert state(other) == ("ready", None)


@pytest.mark.parametrize("isolation", [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE])
@pytest.mark.parametrize("method", DERIVING)
def test_a_snapshot_from_before_the_change_over_finds_all_that_it_saw(
    committing: psycopg.Connection,
    database: str,
    other: psycopg.Connection,
    rng: np.random.Generator,
    method: str,
    isolation: IsolationLevel,
) -> None:
    documents = unit_documents(rng, 40)
    query = unit(rng, 3, 3)
    documents_table(committing, documents, method)
    with psycopg.connect(database) as old:
        old.isolation_level = isolation
        run(old, "SELECT 1 FROM documents LIMIT 1")
        builder = threading.Thread(target=run, args=[committing, REINDEX])
        builder.start()
        wait_for(lambda: "retiring" in (state(other)[1] or ""), "the change over")
        run(other, "DELETE FROM documents WHERE id < 30")
        assert search(old, query, ", k => 10") == [
            (key, pytest.approx(score, abs=1e-5)) for key, score in ranking(query, documents, 10)
        ]
        assert builder.is_alive()
        with pytest.raises(errors.SerializationFailure):
            put(old, 50, unit(rng, 4, 3))
        old.rollback()
        builder.join(PATIENCE)
    assert state(other) == ("ready", None)
    assert problems(other) == []


CANCEL = "PERFORM pg_cancel_backend(pg_backend_pid()); PERFORM pg_sleep(60);"


@pytest.mark.parametrize("method", DERIVING)
def test_whoever_is_cancelled_at_any_stage_can_go_on(
    committing: psycopg.Connection, rng: np.random.Generator, method: str
) -> None:
    """At every DDL command: the state says so, writers go on, and so does the next call."""
    documents = unit_documents(rng, 12)
    query = unit(rng, 3, 3)
    documents_table(committing, documents)
    for stage in range(1, 100):
        stop_at_stage(committing, stage, CANCEL)
        try:
            run(committing, CREATE.format(method))
        except errors.QueryCanceled:
            run(committing, "ALTER EVENT TRIGGER stop_at_stage DISABLE")
        else:
            assert stages_passed(committing) < stage
            break
        assert state(committing)[0] == "building"
        assert "maintain()" in (state(committing)[1] or "")
        documents[1] = unit(rng, 4, 3)
        put(committing, 1, documents[1])
        run(committing, [CREATE.format(method), REINDEX, "CALL colbert.maintain()"][stage % 3])
        assert state(committing) == ("ready", None)
        assert_sound(committing, query, documents)
        run(committing, "SELECT colbert.drop_index('documents')")
    assert stage > 5


def test_an_index_that_is_dropped_at_work_ends_the_build(
    committing: psycopg.Connection, other: psycopg.Connection, rng: np.random.Generator
) -> None:
    documents_table(committing, unit_documents(rng, 300))
    builder = threading.Thread(target=run, args=[other, CREATE.format("hnsw")])
    builder.start()
    wait_for(lambda: bool(run(committing, "SELECT 1 FROM colbert._build")), "the build to begin")
    run(committing, "SELECT colbert.drop_index('documents')")
    builder.join(PATIENCE)
    assert left_over(committing) == []
    assert run(committing, "SELECT * FROM colbert._index") == []


@pytest.mark.parametrize("method", DERIVING)
def test_a_partitioned_table_is_indexed_beside_its_writers(
    committing: psycopg.Connection, rng: np.random.Generator, method: str
) -> None:
    documents = unit_documents(rng, 40)
    run(
        committing,
        "CREATE TABLE documents (id bigint PRIMARY KEY, embeddings vector(3)[])"
        " PARTITION BY HASH (id);"
        "CREATE TABLE documents1 PARTITION OF documents FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE documents2 PARTITION OF documents FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    )
    insert(committing, documents)
    for build in ("new", "anew", "kept"):
        for key, _ in enumerate(steps(committing, method, build), start=1):
            documents[key] = unit(rng, 5, 3)
            put(committing, key, documents[key])
        assert state(committing) == ("ready", None)
        assert_sound(committing, unit(rng, 3, 3), documents)


def test_an_unfinished_index_can_be_dropped_and_leaves_nothing(
    committing: psycopg.Connection, rng: np.random.Generator
) -> None:
    documents_table(committing, unit_documents(rng, 12))
    for stop in range(20):
        for count, _ in enumerate(steps(committing, "plaid", "new")):
            if count == stop:
                break
        else:
            break
        run(committing, "SELECT colbert.drop_index('documents')")
        assert run(committing, "SELECT * FROM colbert._build") == []
        assert left_over(committing) == []
        put(committing, 1, unit(rng, 4, 3))
    assert stop > 5


def test_a_reindex_can_be_abandoned_until_it_is_done(
    committing: psycopg.Connection, rng: np.random.Generator
) -> None:
    documents = unit_documents(rng, 12)
    documents_table(committing, documents, "hnsw")
    abandon = "SELECT colbert.abandon_reindex('documents')"
    error = refusal(committing, abandon)
    assert (error.sqlstate, hint(error)) == ("55000", "There is nothing to abandon.")
    tables = derived_tables(committing)
    abandoned = 0
    for stop in range(20):
        for count, _ in enumerate(steps(committing, "hnsw", "anew")):
            if count == stop:
                break
        else:
            break
        if run(committing, "SELECT 1 FROM colbert._build WHERE phase = 'retiring'"):
            error = refusal(committing, abandon)
            assert error.sqlstate == "55000"
            assert "reindex_concurrently('public.documents', 'embeddings') drops them" in hint(
                error
            )
            run(committing, REINDEX)
        else:
            run(committing, abandon)
            abandoned += 1
            assert derived_tables(committing) == left_over(committing) == tables
        documents[1] = unit(rng, 4, 3)
        put(committing, 1, documents[1])
        assert state(committing) == ("ready", None)
        assert_sound(committing, unit(rng, 3, 3), documents)
    assert abandoned > 3


def test_abandoning_is_refused_while_others_write_and_for_an_index_that_is_new(
    committing: psycopg.Connection, other: psycopg.Connection, rng: np.random.Generator
) -> None:
    documents_table(committing, unit_documents(rng, 12), "hnsw")
    run(committing, "SELECT colbert._begin_rebuild('documents', NULL)")
    run(committing, "SELECT colbert._build_step(1)")
    with other.transaction():
        put(other, 1, unit(rng, 4, 3))
        error = refusal(committing, "SELECT colbert.abandon_reindex('documents')")
        assert (error.sqlstate, primary(error)) == (
            "55P03",
            'other transactions are writing "public.documents"',
        )
    run(committing, "SELECT colbert.drop_index('documents')")
    run(committing, "SELECT colbert._begin_index('documents', 'embeddings', 'hnsw', '{}', NULL)")
    error = refusal(committing, "SELECT colbert.abandon_reindex('documents')")
    assert "drop_index('public.documents', 'embeddings')" in hint(error)


def test_a_bad_document_is_named_before_anything_is_made(
    committing: psycopg.Connection, rng: np.random.Generator
) -> None:
    documents_table(committing, unit_documents(rng, 12))
    put(committing, 5, 2 * unit(rng, 4, 3))
    for method in METHODS:
        with pytest.raises(errors.DataError, match='document "5"'):
            run(committing, CREATE.format(method))
    assert run(committing, "SELECT * FROM colbert._index") == []


def test_a_bad_document_that_slips_in_is_named_and_can_be_mended(
    committing: psycopg.Connection, rng: np.random.Generator
) -> None:
    documents = unit_documents(rng, 12)
    documents_table(committing, documents)
    for _ in steps(committing, "plaid", "new"):
        break
    put(committing, 5, 2 * unit(rng, 4, 3))
    with pytest.raises(errors.DataError, match='document "5"'):
        run(committing, CREATE.format("plaid"))
    assert state(committing)[0] == "building"
    put(committing, 5, documents[5])
    run(committing, CREATE.format("plaid"))
    assert_sound(committing, unit(rng, 3, 3), documents)


def test_neither_runs_inside_a_transaction_block(
    committing: psycopg.Connection, rng: np.random.Generator
) -> None:
    documents_table(committing, unit_documents(rng, 12))
    error = refusal(committing, CREATE.format("hnsw"))
    assert error.sqlstate == "2D000"
    create_index(committing)
    assert refusal(committing, REINDEX).sqlstate == "2D000"
    assert run(committing, "SELECT * FROM colbert._build") == []


def test_another_index_on_the_column_is_refused_as_by_create_index(
    committing: psycopg.Connection, rng: np.random.Generator
) -> None:
    documents_table(committing, unit_documents(rng, 12), "hnsw")
    with pytest.raises(errors.DuplicateObject):
        run(committing, CREATE.format("hnsw"))
    run(committing, "SELECT colbert.drop_index('documents')")
    run(committing, "SELECT colbert._begin_index('documents', 'embeddings', 'hnsw', '{}', NULL)")
    with pytest.raises(errors.DuplicateObject):
        run(committing, CREATE.format("plaid"))


def test_only_the_owner_builds(
    committing: psycopg.Connection,
    database: str,
    rng: np.random.Generator,
    new_role: Callable[[], str],
) -> None:
    documents_table(committing, unit_documents(rng, 12), "hnsw")
    run(committing, "SELECT colbert._begin_rebuild('documents', NULL)")
    with psycopg.connect(as_role(database, new_role()), autocommit=True) as stranger:
        for statement in (
            REINDEX,
            "SELECT colbert._build_step(1)",
            "SELECT colbert.abandon_reindex('documents')",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                run(stranger, statement)
        assert run(stranger, "UPDATE colbert._build SET phase = 'retiring' RETURNING 1") == []
        assert run(stranger, "SELECT phase FROM colbert._build") == [("starting",)]
        assert state(stranger)[0] == "building"


def test_a_table_that_is_dropped_meanwhile_takes_the_build_with_it(
    committing: psycopg.Connection, rng: np.random.Generator
) -> None:
    documents_table(committing, unit_documents(rng, 12), "plaid")
    for count, _ in enumerate(steps(committing, "plaid", "anew")):
        if count == 2:
            break
    run(committing, "DROP TABLE documents CASCADE")
    with pytest.raises(errors.UndefinedColumn):
        run(committing, "SELECT colbert._build_step(1)")
    create_table(committing, "notes")
    create_index(committing, "notes")
    assert run(committing, "SELECT * FROM colbert._build") == []
    assert left_over(committing) == []


def test_a_repair_of_missing_tables_gives_the_build_up(
    committing: psycopg.Connection, rng: np.random.Generator
) -> None:
    documents = unit_documents(rng, 12)
    documents_table(committing, documents, "hnsw")
    for count, _ in enumerate(steps(committing, "hnsw", "anew")):
        if count == 2:
            break
    run(committing, "DROP TABLE documents_embeddings_changes")
    error = refusal(committing, "DELETE FROM documents WHERE id = 1")
    assert (error.sqlstate, "repair_index" in hint(error)) == ("42P01", True)
    run(committing, "SELECT colbert.repair_index('documents')")
    assert run(committing, "SELECT * FROM colbert._build") == []
    assert state(committing) == ("ready", None)
    assert_sound(committing, unit(rng, 3, 3), documents)


def test_a_table_with_a_text_column_is_encoded_after_it(
    committing: psycopg.Connection, rng: np.random.Generator
) -> None:
    create_table(committing, more=", content text")
    insert(committing, unit_documents(rng, 12))
    run(committing, "INSERT INTO documents (id, content) VALUES (100, 'new')")
    run(
        committing,
        "CALL colbert.create_index_concurrently("
        "'documents', method => 'plaid', options => '{\"text\": \"content\"}')",
    )
    assert state(committing) == ("ready", None)
    assert run(committing, "SELECT doc_id FROM colbert.claim_pending('documents')") == [("100",)]
    run(committing, REINDEX)
    assert run(committing, "SELECT doc_id FROM colbert.claim_pending('documents')") == []
    assert problems(committing) == []


def test_old_and_new_tables_do_not_collide_whatever_the_length_of_their_names(
    committing: psycopg.Connection, rng: np.random.Generator
) -> None:
    for name in ("documents", "d" * 60):
        create_table(committing, name)
        insert(committing, unit_documents(rng, 12), name)
        create_index(committing, name)
        first = derived_tables(committing, name)
        for _ in range(4):
            run(committing, f"CALL colbert.reindex_concurrently('{name}')")
            assert problems(committing, name) == []
        assert derived_tables(committing, name) == first  # the name is free every other time
