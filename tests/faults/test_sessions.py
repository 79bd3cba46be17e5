"""Callers of every kind: isolation levels, pooled connections, many clients on one document."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import psycopg
import pytest
from psycopg import IsolationLevel

from tests.faults.damage import (
    assert_sound,
    documents_table,
    waits_for_lock,
)
from tests.pooling import pgbouncer
from tests.sql.documents import (
    METHODS,
    insert,
    keys,
    maxsim,
    primary,
    problems,
    run,
    search,
    texts,
    unit,
    unit_documents,
)
from tests.waiting import PATIENCE, wait_for

SNAPSHOTS = [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE]
ONE = """'{"[0,0,1]"}'"""


@pytest.fixture
def second(database: str) -> Iterator[psycopg.Connection]:
    """Another connection to the database."""
    with psycopg.connect(database) as connection:
        yield connection
        connection.rollback()


class InBackground:
    """A statement that another session executes and commits meanwhile."""

    def __init__(self, connection: psycopg.Connection, statement: str) -> None:
        self.connection = connection
        self.error: psycopg.Error | None = None
        self.thread = threading.Thread(target=self._run, args=[statement], daemon=True)
        self.thread.start()

    def _run(self, statement: str) -> None:
        try:
            run(self.connection, statement)
            self.connection.commit()
        except psycopg.Error as error:
            self.error = error
            self.connection.rollback()

    def until_it_waits(self, dsn: str) -> None:
        """Until it waits for a lock that somebody else holds."""
        with psycopg.connect(dsn, autocommit=True) as observer:
            pid = self.connection.info.backend_pid
            wait_for(lambda: waits_for_lock(observer, pid), "a statement to wait")

    def outcome(self) -> psycopg.Error | None:
        """The error that it ended with, if it did."""
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()
        return self.error


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", SNAPSHOTS)
def test_a_search_sees_what_its_transaction_sees(
    own_connection: psycopg.Connection,
    second: psycopg.Connection,
    rng: np.random.Generator,
    method: str,
    level: IsolationLevel,
) -> None:
    documents = unit_documents(rng, 10)
    query = unit(rng, 3, 3)
    documents_table(own_connection, documents, method)
    second.isolation_level = level
    before = search(second, query)
    run(own_connection, "DELETE FROM documents WHERE id <= 5")
    run(own_connection, f"UPDATE documents SET embeddings = {ONE} WHERE id = 6")
    insert(own_connection, {11: unit(rng, 2, 3)})
    own_connection.commit()
    assert search(second, query) == before
    assert search(second, query, ", k => 2") == before[:2]
    second.commit()
    assert keys(search(second, query)) != keys(before)
    assert search(second, query) == search(own_connection, query)


@pytest.mark.parametrize("method", METHODS)
def test_a_document_that_is_deleted_during_a_search_is_scored_as_it_was(
    own_connection: psycopg.Connection,
    second: psycopg.Connection,
    rng: np.random.Generator,
    method: str,
) -> None:
    """The deletion is committed after the search has started, before it scores anything."""
    documents = unit_documents(rng, 10)
    documents_table(own_connection, documents, method)
    run(
        own_connection,
        "CREATE FUNCTION hold() RETURNS boolean LANGUAGE plpgsql STABLE AS "
        "$$ BEGIN PERFORM pg_advisory_lock_shared(1); PERFORM pg_advisory_unlock_shared(1); "
        "RETURN true; END $$",
    )
    own_connection.commit()
    run(own_connection, "SELECT pg_advisory_lock(1)")
    query = unit(rng, 3, 3)
    found: list[object] = []

    def seek() -> None:
        found.extend(search(second, query, ", filter => '(SELECT hold())'"))

    seeker = threading.Thread(target=seek, daemon=True)
    seeker.start()
    with psycopg.connect(own_connection.info.dsn, autocommit=True) as observer:
        pid = second.info.backend_pid
        wait_for(lambda: waits_for_lock(observer, pid), "the search to start")
        run(observer, "DELETE FROM documents WHERE id <> 3")
    run(own_connection, "SELECT pg_advisory_unlock(1)")
    seeker.join(PATIENCE)
    assert len(found) == len(documents)
    second.rollback()
    assert keys(search(second, query)) == [3]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", SNAPSHOTS)
@pytest.mark.parametrize("change", ["reindex", "repair_index"])
def test_a_write_under_an_old_snapshot_is_right_or_refused(
    own_connection: psycopg.Connection,
    second: psycopg.Connection,
    rng: np.random.Generator,
    method: str,
    level: IsolationLevel,
    change: str,
) -> None:
    """What it writes would fit the index as it was, were it not told to try again."""
    documents = unit_documents(rng, 10)
    documents_table(own_connection, documents, method)
    second.isolation_level = level
    run(second, "SELECT 1 FROM documents")
    run(own_connection, f"SELECT colbert.{change}('documents')")
    own_connection.commit()
    try:
        insert(second, {11: documents[1]})
        second.commit()
        documents = documents | {11: documents[1]}
    except psycopg.errors.SerializationFailure:
        second.rollback()
        assert method != "exact"
    assert_sound(own_connection, unit(rng, 3, 3), documents)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", SNAPSHOTS)
def test_a_write_to_a_document_that_has_changed_gets_a_serialization_failure(
    own_connection: psycopg.Connection,
    second: psycopg.Connection,
    rng: np.random.Generator,
    method: str,
    level: IsolationLevel,
) -> None:
    documents_table(own_connection, unit_documents(rng, 5), method)
    second.isolation_level = level
    run(second, "SELECT 1 FROM documents")
    run(own_connection, f"UPDATE documents SET embeddings = {ONE} WHERE id = 1")
    own_connection.commit()
    with pytest.raises(psycopg.errors.SerializationFailure):
        run(second, "UPDATE documents SET embeddings = NULL WHERE id = 1")
    second.rollback()
    run(second, "UPDATE documents SET embeddings = NULL WHERE id = 1")
    second.commit()
    assert problems(own_connection) == []


@pytest.mark.parametrize("method", METHODS)
def test_of_two_serializable_writers_that_read_each_others_documents_one_is_refused(
    own_connection: psycopg.Connection,
    second: psycopg.Connection,
    rng: np.random.Generator,
    method: str,
) -> None:
    documents_table(own_connection, unit_documents(rng, 5), method)
    query = unit(rng, 2, 3)
    for session in (own_connection, second):
        session.isolation_level = IsolationLevel.SERIALIZABLE
        search(session, query, ", exact => true")
    insert(own_connection, {11: unit(rng, 2, 3)})
    insert(second, {12: unit(rng, 2, 3)})
    own_connection.commit()
    with pytest.raises(psycopg.errors.SerializationFailure):
        second.commit()
    assert problems(own_connection) == []
    assert run(own_connection, "SELECT id FROM documents WHERE id > 10") == [(11,)]


@pytest.mark.parametrize("method", METHODS)
def test_of_two_writers_in_a_deadlock_one_is_refused_and_both_can_go_on(
    own_connection: psycopg.Connection,
    second: psycopg.Connection,
    rng: np.random.Generator,
    method: str,
) -> None:
    documents_table(own_connection, unit_documents(rng, 5), method)
    for session in (own_connection, second):
        run(session, "SET deadlock_timeout = '20ms'")
        session.commit()
    write = f"UPDATE documents SET embeddings = {ONE} WHERE id = %s"
    run(own_connection, write % 1)
    run(second, write % 2)
    background = InBackground(second, write % 1)
    background.until_it_waits(own_connection.info.dsn)
    refused = None
    try:
        run(own_connection, write % 2)
        own_connection.commit()
    except psycopg.errors.DeadlockDetected as error:
        refused = error
        own_connection.rollback()
    assert (refused is None) != (background.outcome() is None)
    assert problems(own_connection) == []
    run(own_connection, f"UPDATE documents SET embeddings = {ONE}")
    assert problems(own_connection) == []


@pytest.mark.parametrize("method", METHODS)
def test_a_repair_waits_for_a_writer_and_not_the_writer_for_the_repair(
    own_connection: psycopg.Connection,
    second: psycopg.Connection,
    rng: np.random.Generator,
    method: str,
) -> None:
    """A writer has locked its row, and not come to the index yet, when the document is repaired."""
    documents = unit_documents(rng, 5)
    documents_table(own_connection, documents, method)
    run(
        own_connection,
        "SET session_replication_role = replica; "
        f"UPDATE documents SET embeddings = {ONE} WHERE id = 1; "
        "RESET session_replication_role;"
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;"
        'CREATE TRIGGER " first" AFTER UPDATE ON documents FOR EACH ROW EXECUTE FUNCTION hold()',
    )
    own_connection.commit()
    with psycopg.connect(own_connection.info.dsn) as gate:
        run(gate, "SELECT pg_advisory_lock(1)")
        new = unit(rng, 3, 3)
        values = ",".join(f'"{token}"' for token in texts(new))
        writer = InBackground(
            second, f"UPDATE documents SET embeddings = '{{{values}}}' WHERE id = 1"
        )
        writer.until_it_waits(own_connection.info.dsn)
        with psycopg.connect(own_connection.info.dsn) as other:
            repair = InBackground(other, "SELECT colbert.repair_index('documents')")
            if method != "exact":
                repair.until_it_waits(own_connection.info.dsn)
            run(gate, "SELECT pg_advisory_unlock(1)")
            gate.commit()
            assert writer.outcome() is None
            assert repair.outcome() is None
    assert_sound(own_connection, unit(rng, 3, 3), documents | {1: new})


def test_writers_of_one_document_by_many_clients_end_with_one_of_their_arrays(
    database: str, own_connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    """Upserts, updates, deletes, key changes and reads of few keys by eight clients at once."""
    for method in METHODS:
        run(own_connection, f"CREATE TABLE {method} (id int PRIMARY KEY, embeddings vector(3)[])")
        run(own_connection, f"SELECT colbert.create_index('{method}', method => '{method}')")
    own_connection.commit()
    unexpected: list[psycopg.Error] = []

    def client(number: int) -> None:
        own = np.random.default_rng(number)
        with psycopg.connect(database, autocommit=True) as session:
            for _ in range(40):
                table = METHODS[own.integers(len(METHODS))]
                key, array = int(own.integers(3)), texts(unit(own, int(own.integers(1, 4)), 3))
                statements: list[tuple[str, *tuple[object, ...]]] = [
                    (
                        f"INSERT INTO {table} VALUES (%s, %s::text[]::vector[]) ON CONFLICT (id) "
                        "DO UPDATE SET embeddings = excluded.embeddings",
                        key,
                        array,
                    ),
                    (f"UPDATE {table} SET embeddings = NULL WHERE id = %s", key),
                    (f"DELETE FROM {table} WHERE id = %s", key),
                    (f"UPDATE {table} SET id = %s WHERE id = %s", key, (key + 1) % 3),
                    (
                        f"SELECT colbert.upsert('{table}', %s::int, %s::text[]::vector[])",
                        key,
                        array,
                    ),
                    (f"SELECT * FROM colbert.search('{table}', %s::text[]::vector[])", array),
                    (f"SELECT colbert.repair_index('{table}')",),
                ]
                operation = statements[own.integers(len(statements))]
                try:
                    run(session, *operation)
                except (psycopg.errors.UniqueViolation, psycopg.errors.DeadlockDetected) as error:
                    # A key that another client took, and PostgreSQL's word for trying again
                    if isinstance(error, psycopg.errors.UniqueViolation):
                        constraint = error.diag.constraint_name or ""
                        if constraint != f"{table}_pkey":
                            unexpected.append(error)
                except psycopg.Error as error:
                    unexpected.append(error)

    clients = [threading.Thread(target=client, args=[number]) for number in range(8)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    assert [primary(error) for error in unexpected] == []
    for method in METHODS:
        assert problems(own_connection, method) == []


STATE = """
    SELECT 'setting', name, setting FROM pg_settings
     WHERE source = 'session' AND name <> 'application_name'
    UNION ALL SELECT 'prepared', name, statement FROM pg_prepared_statements
    UNION ALL SELECT 'cursor', name, statement FROM pg_cursors WHERE statement !~ 'pg_cursors'
    UNION ALL SELECT 'lock', mode, objid::text FROM pg_locks WHERE locktype = 'advisory'
    UNION ALL SELECT 'temporary', relname, '' FROM pg_class
     WHERE relnamespace = pg_my_temp_schema()
    UNION ALL SELECT 'channel', c, '' FROM pg_listening_channels() c
    UNION ALL SELECT 'path', current_setting('search_path'), current_setting('role')
    ORDER BY 1, 2
"""


@contextmanager
def no_pooler(database: str) -> Iterator[str]:
    yield database


@pytest.mark.parametrize("pooler", [no_pooler, pgbouncer])
@pytest.mark.parametrize("method", METHODS)
def test_a_pool_may_give_each_transaction_another_connection(
    database: str,
    rng: np.random.Generator,
    method: str,
    pooler: Callable[[str], AbstractContextManager[str]],
) -> None:
    """As transaction poolers do: nothing is kept in a session, and nothing expected there."""
    documents = unit_documents(rng, 10)
    query = unit(rng, 3, 3)
    array = texts(query)
    with (
        pooler(database) as conninfo,
        psycopg.connect(conninfo, autocommit=True, prepare_threshold=None) as one,
        psycopg.connect(conninfo, autocommit=True, prepare_threshold=None) as other,
    ):
        with one.transaction(), other.transaction():  # the pool makes two connections
            assert run(one, "SELECT pg_backend_pid()") != run(other, "SELECT pg_backend_pid()")
        pool = itertools.cycle([one, other])
        documents_table(one, documents)
        states = [run(session, STATE) for session in (one, other)]
        calls: list[tuple[object, ...]] = [
            (f"SELECT colbert.create_index('documents', method => '{method}')",),
            ("SELECT colbert.upsert('documents', 11::bigint, %s::text[]::vector[])", array),
            ("SELECT * FROM colbert.search('documents', %s::text[]::vector[], k => 3)", array),
            (
                "SELECT * FROM colbert.search('documents', %s::text[]::vector[], "
                "filter => 'id < (params->>0)::int', params => '[5]')",
                array,
            ),
            ("SELECT * FROM colbert.rerank('documents', %s::text[]::vector[], ARRAY[1])", array),
            ("SELECT colbert.maxsim(%s::text[]::vector[], 11)", array),
            ("SELECT colbert.maxsim_matches(%s::text[]::vector[], 11)", array),
            ("SELECT * FROM colbert.check_index('documents')",),
            ("SELECT colbert.repair_index('documents')",),
            ("SELECT colbert.reindex('documents')",),
            ("SELECT * FROM colbert.indexes",),
            ("DELETE FROM documents WHERE id = 11",),
        ]
        for _ in range(2):  # the second time each call is on the other connection
            for statement, *values in calls:
                run(next(pool), str(statement), *values)
                if "create_index" in str(statement):
                    assert run(one, "SELECT colbert.maxsim(%s::text[]::vector[], 1)", array) == [
                        (pytest.approx(maxsim(query, documents[1]), abs=1e-5),)
                    ]
            assert_sound(next(pool), query, documents)
            run(next(pool), "SELECT colbert.drop_index('documents')")
        assert len({run(next(pool), "SELECT pg_backend_pid()")[0] for _ in range(8)}) == 2
        assert [run(session, STATE) for session in (one, other)] == states
