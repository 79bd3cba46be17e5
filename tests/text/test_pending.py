"""Which documents are pending, and what becomes of them in SQL alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.servers import as_role
from tests.sql.documents import hint, primary, problems, refusal, run
from tests.text.conftest import VECTOR, claim, fail, let_time_pass, pending, store
from tests.waiting import PATIENCE

Connection = psycopg.Connection[Any]


def test_a_row_with_a_text_and_no_array_is_pending_until_its_vectors_are_stored(
    texts: Connection,
) -> None:
    assert claim(texts) == ["1", "2", "3"]
    assert store(texts, "2", "two")
    assert pending(texts) == [1, 3]
    assert run(
        texts, "SELECT doc_id FROM colbert.search('documents', %s::vector[], k => 1)", VECTOR
    ) == [(2,)]
    assert problems(texts) == []


@pytest.mark.parametrize(
    ("change", "after"),
    [
        ("content = 'other'", None),
        ("content = 'FOUR'", None),
        ("content = NULL", None),
        ("content = 'four'", '{"[0,1,0]"}'),
        ("content = 'other', embeddings = '{\"[0,0,1]\"}'", '{"[0,0,1]"}'),
        ("content = 'other', embeddings = '{}'", "{}"),
        ("content = 'other', embeddings = '{\"[0,1,0]\"}'", None),
        ("embeddings = '{\"[0,0,1]\"}'", '{"[0,0,1]"}'),
        ("embeddings = NULL", None),
    ],
)
def test_a_text_that_changes_loses_its_array_unless_the_writer_sets_another(
    texts: Connection, change: str, after: str | None
) -> None:
    run(texts, f"UPDATE documents SET {change} WHERE id = 4")
    assert run(texts, "SELECT embeddings::text FROM documents WHERE id = 4") == [(after,)]
    assert problems(texts) == []


@pytest.mark.parametrize(
    "kind", ['text COLLATE "case_blind"', 'varchar(20) COLLATE "case_blind"', "citext"]
)
def test_a_text_that_only_its_type_takes_to_be_equal_has_changed(
    connection: Connection, kind: str
) -> None:
    made = (
        "CREATE EXTENSION citext"
        if kind == "citext"
        else "CREATE COLLATION case_blind (provider = icu, locale = 'und-u-ks-level2',"
        " deterministic = false)"
    )
    try:
        run(connection, made)
    except psycopg.errors.FeatureNotSupported as error:
        pytest.skip(f"this server does without: {error}")
    run(
        connection,
        f"CREATE TABLE documents (id int PRIMARY KEY, content {kind}, embeddings halfvec(3)[])",
    )
    run(
        connection, """SELECT colbert.create_index('documents', options => '{"text": "content"}')"""
    )
    run(connection, "INSERT INTO documents VALUES (1, 'Polish', '{\"[1,0,0]\"}')")
    run(connection, "UPDATE documents SET content = 'polish'")
    assert claim(connection) == ["1"]
    assert not store(connection, "1", "Polish")
    assert store(connection, "1", "polish")


def test_a_before_trigger_of_the_user_that_changes_the_text_is_seen(texts: Connection) -> None:
    run(
        texts,
        "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.content := upper(NEW.content); RETURN NEW; END';"
        "CREATE TRIGGER zz_shout BEFORE UPDATE ON documents FOR EACH ROW EXECUTE FUNCTION shout()",
    )
    run(texts, "UPDATE documents SET id = 44 WHERE id = 4")
    assert pending(texts) == [1, 2, 3, 44]


def test_claimed_documents_are_nobody_elses_until_their_lease_ends(texts: Connection) -> None:
    assert claim(texts, ", 2") == ["1", "2"]
    assert claim(texts) == ["3"]
    assert claim(texts) == []
    let_time_pass(texts)
    assert claim(texts) != []


def test_a_document_whose_worker_was_lost_comes_alone_and_with_a_longer_lease(
    texts: Connection,
) -> None:
    claim(texts, ", 2")
    let_time_pass(texts)
    lost = run(texts, "SELECT doc_id, error FROM colbert.failures ORDER BY doc_id")
    assert lost == [("1", "the worker was lost"), ("2", "the worker was lost")]
    assert [claim(texts), claim(texts), claim(texts), claim(texts)] == [["1"], ["2"], ["3"], []]
    leases = "SELECT attempts, due_at - claimed_at FROM documents_embeddings_attempts ORDER BY 1, 2"
    assert [(n, t.total_seconds()) for n, t in run(texts, leases)] == [(1, 300), (2, 600), (2, 600)]


def test_what_is_done_already_is_not_stored_again(texts: Connection) -> None:
    claim(texts)
    assert store(texts, "1", "one", '{"[0,0,1]"}')
    assert not store(texts, "1", "one")
    assert not store(texts, "77", "one")
    run(texts, "DELETE FROM documents WHERE id = 2")
    assert not store(texts, "2", "two")
    assert fail(texts, "2", "two") is None
    assert run(texts, "SELECT embeddings::text FROM documents WHERE id = 1") == [('{"[0,0,1]"}',)]


def test_a_text_that_changed_while_it_was_encoded_is_encoded_again(texts: Connection) -> None:
    claim(texts)
    run(texts, "UPDATE documents SET content = 'uno' WHERE id = 1")
    assert not store(texts, "1", "one")
    assert fail(texts, "1", "one") is None
    assert run(texts, "SELECT * FROM colbert.failures") == []
    assert claim(texts) == ["1"]
    assert store(texts, "1", "uno")


def test_a_text_that_changes_and_changes_back_is_stored(texts: Connection) -> None:
    claim(texts)
    run(texts, "UPDATE documents SET content = 'uno' WHERE id = 1")
    run(texts, "UPDATE documents SET content = 'one' WHERE id = 1")
    assert store(texts, "1", "one")
    assert claim(texts) == []


def test_a_failure_is_set_aside_longer_each_time_and_seen_with_its_error(texts: Connection) -> None:
    waits = []
    for _ in range(12):
        assert "1" in claim(texts)
        fail(texts, "1", "one", "no such word")
        [[wait]] = run(texts, "SELECT retry_at - failed_at FROM colbert.failures")
        waits.append(wait.total_seconds())
        assert "1" not in claim(texts)
        let_time_pass(texts)
        run(texts, "DELETE FROM documents WHERE id IN (2, 3)")
    assert waits == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]
    seen = "SELECT source::text, embeddings::text, doc_id, error, attempts FROM colbert.failures"
    assert run(texts, seen) == [("documents", "embeddings", "1", "no such word", 12)]
    claim(texts)
    assert store(texts, "1", "one")
    assert run(texts, seen) == []


def test_failures_come_in_batches_with_fresh_documents(texts: Connection) -> None:
    claim(texts, ", 2")
    fail(texts, "1", "one")
    fail(texts, "2", "two")
    let_time_pass(texts)
    assert claim(texts) == ["1", "2", "3"]


@pytest.mark.parametrize(
    "mend",
    [
        "SELECT colbert.retry_failures('documents')",
        "UPDATE documents SET content = 'uno' WHERE id = 1",
        "UPDATE documents SET id = 6 WHERE id = 1",
    ],
)
def test_a_failure_is_due_at_once_when_asked_for_or_with_another_text_or_key(
    texts: Connection, mend: str
) -> None:
    claim(texts)
    fail(texts, "1", "one")
    assert claim(texts) == []
    run(texts, mend)
    assert len(claim(texts)) == 1


@pytest.mark.parametrize(
    "end",
    [
        "DELETE FROM documents WHERE id = 1",
        "UPDATE documents SET embeddings = '{}' WHERE id = 1",
        "UPDATE documents SET content = NULL WHERE id = 1",
        "TRUNCATE documents",
    ],
)
def test_an_attempt_ends_with_its_document(texts: Connection, end: str) -> None:
    claim(texts, ", 1")
    fail(texts, "1", "one")
    run(texts, end)
    assert run(texts, "SELECT * FROM documents_embeddings_attempts") == []


def test_an_empty_text_is_stored_as_an_empty_array_and_a_null_is_not_pending(
    texts: Connection,
) -> None:
    run(texts, "UPDATE documents SET content = '' WHERE id = 1")
    claim(texts)
    assert store(texts, "1", "", "{}")
    assert pending(texts) == [2, 3]
    run(texts, "UPDATE documents SET content = NULL WHERE id = 4")
    assert run(texts, "SELECT embeddings FROM documents WHERE id = 4") == [(None,)]
    assert claim(texts) == []


def test_vectors_that_may_not_be_indexed_are_refused_and_the_document_stays_pending(
    texts: Connection,
) -> None:
    claim(texts)
    statement = "SELECT colbert.store_encoded('documents', '1', 'one', %s::vector[])"
    assert refusal(texts, statement, '{"[1,0]"}').sqlstate == "22000"
    assert primary(refusal(texts, statement, '{"[3,0,0]"}')) == (
        'document "1": token 1 has length 3.0000, expected 1'
    )
    missing = refusal(texts, statement, None)
    assert missing.sqlstate == "22004"
    assert primary(missing) == 'vectors of document "1" must not be NULL'
    assert pending(texts) == [1, 2, 3]


def test_progress_backlog_and_throughput_are_seen_in_sql(texts: Connection) -> None:
    claim(texts, ", 2, worker => 'a'")
    row = "SELECT pending, encoding, failed, workers, documents_per_minute FROM colbert.pending"
    assert run(texts, row) == [(3, 2, 0, 1, None)]
    for doc_id, content in (("1", "one"), ("2", "two")):
        run(
            texts,
            "SELECT colbert.store_encoded('documents', %s, %s, %s, worker => 'a')",
            *(doc_id, content, '{"[1,0,0]","[0,1,0]"}'),
        )
    claim(texts, ", worker => 'b'")
    fail(texts, "3", "three")
    [[rate, left, retry]] = run(
        texts,
        "SELECT documents_per_minute, time_left, retry_at > statement_timestamp()"
        "  FROM colbert.pending",
    )
    assert rate > 0
    assert left is not None
    assert retry
    done = "SELECT worker, documents, tokens, failures FROM colbert.workers ORDER BY worker"
    assert run(texts, done)[:2] == [("a", 2, 4, 0), ("b", 0, 0, 0)]
    assert run(texts, "SELECT pending, failed FROM colbert.pending") == [(1, 1)]


def test_workers_of_yesterday_are_forgotten(texts: Connection) -> None:
    claim(texts, ", worker => 'old'")
    run(texts, "UPDATE colbert._worker SET seen_at = seen_at - interval '25 hours'")
    claim(texts, ", worker => 'new'")
    assert run(texts, "SELECT worker FROM colbert.workers") == [("new",)]


def test_a_listener_is_told_once_a_transaction_and_only_of_what_is_pending(
    committed: Connection, database: str
) -> None:
    texts = committed
    with psycopg.connect(database, autocommit=True) as listener:
        listener.execute("LISTEN colbert_pending")
        run(texts, "INSERT INTO documents SELECT i, 'more' FROM generate_series(10, 20) i")
        texts.commit()
        run(texts, "UPDATE documents SET embeddings = %s WHERE id < 20", VECTOR)
        run(texts, "INSERT INTO documents VALUES (30, NULL, NULL), (31, 'encoded', '{}')")
        texts.commit()
        run(texts, "UPDATE documents SET content = 'changed' WHERE id = 4")
        texts.commit()
        told = list(listener.notifies(timeout=PATIENCE, stop_after=2))
        told += listener.notifies(timeout=0)
    [[number]] = run(texts, "SELECT id::text FROM colbert._index")
    assert [(note.channel, note.payload) for note in told] == [("colbert_pending", number)] * 2


def test_the_backlog_is_found_through_the_index_of_pending_documents(texts: Connection) -> None:
    run(texts, "INSERT INTO documents SELECT i, 'x', '{}' FROM generate_series(100, 5000) i")
    run(texts, "ANALYZE documents")
    plan = run(
        texts,
        "EXPLAIN SELECT id FROM documents WHERE embeddings IS NULL AND content IS NOT NULL"
        " ORDER BY id LIMIT 32 FOR NO KEY UPDATE SKIP LOCKED",
    )
    assert "documents_embeddings_pending" in str(plan)


# Side by side


@pytest.fixture
def pair(committed: Connection, database: str) -> Iterator[tuple[Connection, Connection]]:
    """Two connections to a database with table documents."""
    with psycopg.connect(database) as second:
        yield committed, second


@contextmanager
def waiting(
    conninfo: str, work: Callable[[Connection], Any], end: Callable[[], None]
) -> Iterator[list[Any]]:
    """Work that has to wait for a lock while the block runs, until ``end``; gives its result."""
    results: list[Any] = []
    with psycopg.connect(conninfo, autocommit=True) as connection:
        pid = connection.info.backend_pid
        thread = threading.Thread(target=lambda: results.append(work(connection)))
        thread.start()
        try:
            with psycopg.connect(conninfo, autocommit=True) as observer:
                locks = "SELECT FROM pg_locks WHERE pid = %s AND NOT granted"
                while not run(observer, locks, pid):
                    assert thread.is_alive()
            yield results
        finally:
            end()
            thread.join(PATIENCE)


def test_two_claims_at_once_share_the_documents(pair: tuple[Connection, Connection]) -> None:
    first, second = pair
    assert claim(first, ", 2") == ["1", "2"]  # not committed
    assert claim(second) == ["3"]
    first.commit()
    second.commit()
    assert claim(first) == claim(second) == []


def test_a_claim_with_an_older_snapshot_takes_nothing_that_was_claimed_since(
    committed: Connection, database: str, new_role: Callable[[], str]
) -> None:
    role = new_role()
    run(
        committed,
        "CREATE FUNCTION gate() RETURNS boolean LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN true; END';"
        "CREATE POLICY gate ON documents USING (gate());"
        "ALTER TABLE documents ENABLE ROW LEVEL SECURITY;"
        f"GRANT SELECT, UPDATE ON documents TO {role}",
    )
    committed.commit()
    run(committed, "SELECT pg_advisory_xact_lock(7)")
    # The role's claim has its snapshot when it waits at the gate to look at the first row.
    with (
        waiting(as_role(database, role), claim, end=committed.commit) as claimed,
        psycopg.connect(database) as other,
    ):
        assert claim(other) == ["1", "2", "3"]
        other.commit()
    assert claimed == [[]]


@pytest.mark.parametrize(("end", "stored"), [("commit", False), ("rollback", True)])
def test_vectors_wait_for_a_writer_of_the_text_and_are_stored_if_it_takes_back_its_change(
    pair: tuple[Connection, Connection], database: str, end: str, stored: bool
) -> None:
    first, second = pair
    claim(second)
    second.commit()
    run(first, "UPDATE documents SET content = 'uno' WHERE id = 1")
    with waiting(
        database, lambda other: store(other, "1", "one"), end=getattr(first, end)
    ) as answers:
        pass
    assert answers == [stored]
    assert pending(first) == ([2, 3] if stored else [1, 2, 3])
    first.commit()
    assert claim(first) == ([] if stored else ["1"])


def test_a_document_that_a_writer_holds_is_passed_over(pair: tuple[Connection, Connection]) -> None:
    first, second = pair
    run(first, "SELECT FROM documents WHERE id = 1 FOR UPDATE")
    assert claim(second) == ["2", "3"]


def test_a_claim_blocks_no_writer_of_the_text(pair: tuple[Connection, Connection]) -> None:
    first, second = pair
    claim(second)
    second.commit()
    run(first, "SET lock_timeout = '1s'")
    run(first, "UPDATE documents SET content = 'uno' WHERE id = 1")
    assert claim(first) == ["1"]


# Models


MODEL = '{"name": "m", "dimensions": 3}'


def test_a_model_of_other_dimensions_does_not_become_the_index_s(texts: Connection) -> None:
    call = (
        'SELECT colbert.claim_pending(\'documents\', model => \'{"name": "m", "dimensions": 4}\')'
    )
    refused = refusal(texts, call)
    assert refused.sqlstate == "22023"
    assert "has vectors of 3 dimensions, the model of 4" in primary(refused)
    assert run(texts, "SELECT model FROM colbert.pending") == [(None,)]


@pytest.mark.parametrize("option", ["", ', "model": "m"', f', "model": {MODEL}'])
def test_the_first_worker_leaves_its_model_and_another_is_refused(
    texts: Connection, option: str
) -> None:
    run(texts, "SELECT colbert.drop_index('documents')")
    options = f'{{"text": "content"{option}}}'
    run(texts, "SELECT colbert.create_index('documents', options => %s::jsonb)", options)
    assert claim(texts, ", 1, model => %s", MODEL) == ["1"]
    assert run(texts, "SELECT model FROM colbert.pending") == [({"name": "m", "dimensions": 3},)]
    assert claim(texts, ", 1, model => %s", MODEL) == ["2"]
    other = refusal(
        texts,
        "SELECT colbert.claim_pending('documents', model => %s)",
        '{"name": "m", "dimensions": 4}',
    )
    assert other.sqlstate == "22023"
    assert primary(other) == 'the vectors of table "public.documents" come from another model'
    assert claim(texts) == ["3"]  # who says no model has to know


def test_a_model_of_another_name_is_refused(texts: Connection) -> None:
    run(texts, "SELECT colbert.drop_index('documents')")
    run(
        texts,
        'SELECT colbert.create_index(\'documents\', options => \'{"text": "content",'
        ' "model": "other"}\')',
    )
    refused = refusal(texts, "SELECT colbert.claim_pending('documents', model => %s)", MODEL)
    assert 'The index says "other"' in (refused.diag.message_detail or "")


# Creating, mending and dropping


@pytest.mark.parametrize(
    ("options", "message", "state"),
    [
        (
            '{"text": "nowhere"}',
            'text column "nowhere" of table "public.documents" does not exist',
            "42703",
        ),
        (
            '{"text": "id"}',
            'text column "id" of table "public.documents" is of type bigint',
            "42804",
        ),
        (
            '{"text": "made"}',
            'text column "made" of table "public.documents" is a generated column',
            "42809",
        ),
        ('{"text": "content", "triggers": false}', 'option "text" needs triggers', "22023"),
        ('{"text": 7}', 'option "text" must not be 7', "22023"),
    ],
)
def test_a_column_that_cannot_be_encoded_is_refused(
    connection: Connection, options: str, message: str, state: str
) -> None:
    run(
        connection,
        "CREATE TABLE documents (id bigint PRIMARY KEY, content text, embeddings vector(3)[],"
        " made text GENERATED ALWAYS AS (content || '.') STORED)",
    )
    refused = refusal(
        connection, "SELECT colbert.create_index('documents', options => %s::jsonb)", options
    )
    assert (primary(refused), refused.sqlstate) == (message, state)
    assert hint(refused)


def test_a_column_that_is_computed_when_it_is_read_is_refused(connection: Connection) -> None:
    if connection.info.server_version < 180000:
        pytest.skip("PostgreSQL 18 is the first with virtual columns")
    run(
        connection,
        "CREATE TABLE documents (id bigint PRIMARY KEY, content text, embeddings vector(3)[],"
        " made text GENERATED ALWAYS AS (content || '.') VIRTUAL)",
    )
    refused = refusal(
        connection, """SELECT colbert.create_index('documents', options => '{"text": "made"}')"""
    )
    assert refused.sqlstate == "42809"
    assert "BEFORE INSERT OR UPDATE" in hint(refused)


def test_an_array_that_cannot_be_null_is_refused_beside_a_text(connection: Connection) -> None:
    run(
        connection,
        "CREATE TABLE documents (id bigint PRIMARY KEY, content text,"
        " embeddings vector(3)[] NOT NULL)",
    )
    create = """SELECT colbert.create_index('documents', options => '{"text": "content"}')"""
    refused = refusal(connection, create)
    assert refused.sqlstate == "55000"
    assert 'column "embeddings" of table "public.documents" is NOT NULL' in primary(refused)
    run(connection, hint(refused))
    run(connection, create)


def test_an_index_without_a_text_column_has_nothing_to_claim(documents_without: Connection) -> None:
    refused = refusal(documents_without, "SELECT colbert.claim_pending('documents')")
    assert primary(refused) == (
        'the index on column "embeddings" of table "public.documents" names no column'
        " that workers encode"
    )
    assert refused.sqlstate == "55000"
    assert run(documents_without, "SELECT * FROM colbert.pending") == []


@pytest.fixture
def documents_without(connection: Connection) -> Connection:
    run(connection, "CREATE TABLE documents (id bigint PRIMARY KEY, embeddings vector(3)[])")
    run(connection, "SELECT colbert.create_index('documents')")
    return connection


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("batch => 0", "batch must be at least 1, not 0"),
        ("batch => NULL", "batch must be at least 1, not NULL"),
        ("lease => '-1 s'", "lease must be longer than nothing, not -00:00:01"),
        ("lease => NULL", "lease must be longer than nothing, not NULL"),
    ],
)
def test_a_claim_of_nothing_or_for_no_time_is_refused(
    texts: Connection, arguments: str, message: str
) -> None:
    refused = refusal(texts, f"SELECT colbert.claim_pending('documents', {arguments})")
    assert (refused.sqlstate, primary(refused)) == ("22023", message)


def test_a_renamed_text_column_is_a_broken_index(texts: Connection) -> None:
    run(texts, "ALTER TABLE documents RENAME content TO body")
    refused = refusal(texts, "SELECT colbert.claim_pending('documents')")
    assert primary(refused) == (
        'text column "content" of the index on "public.documents" is not there any more'
    )
    assert run(texts, "SELECT state, advice FROM colbert.indexes") == [
        ("broken", 'column "content" is gone or of another type')
    ]
    assert run(texts, "SELECT pending FROM colbert.pending") == [(None,)]


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ('DROP TRIGGER "~colbert_text_{}" ON documents', "is gone"),
        ('ALTER TABLE documents DISABLE TRIGGER "~colbert_text_{}"', "is disabled"),
        ("DROP INDEX documents_embeddings_pending", "the index of pending documents is gone"),
        ("DROP TABLE documents_embeddings_attempts", "a table of the index was dropped"),
    ],
)
@pytest.mark.parametrize("method", ["exact", "hnsw"])
def test_missing_parts_are_found_and_mended(
    texts: Connection, damage: str, found: str, method: str
) -> None:
    run(texts, "SELECT colbert.drop_index('documents')")
    run(
        texts,
        "SELECT colbert.create_index('documents', method => %s, options => %s::jsonb)",
        *(method, '{"text": "content"}'),
    )
    [[number]] = run(texts, "SELECT id FROM colbert._index")
    run(texts, damage.format(number))
    [[state]] = run(texts, "SELECT state FROM colbert.indexes")
    assert state == "broken"
    assert found in str(run(texts, "SELECT * FROM colbert.check_index('documents')"))
    run(texts, "SELECT colbert.repair_index('documents')")
    assert run(texts, "SELECT state FROM colbert.indexes") == [("ready",)]
    assert problems(texts) == []
    run(texts, "UPDATE documents SET content = 'other' WHERE id = 4")
    assert claim(texts) == ["1", "2", "3", "4"]


def test_drop_index_leaves_the_table_as_it_was(texts: Connection) -> None:
    claim(texts)
    run(texts, "SELECT colbert.drop_index('documents')")
    assert run(texts, "SELECT FROM pg_trigger WHERE NOT tgisinternal") == []
    assert run(
        texts,
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'documents'::regclass",
    ) == [("documents_pkey",)]
    assert run(texts, "SELECT to_regclass('documents_embeddings_attempts')::text") == [(None,)]
    assert run(texts, "SELECT * FROM colbert.workers") == []


@pytest.mark.parametrize(
    ("key", "keys"),
    [
        ("uuid", "gen_random_uuid()"),
        ("text", "'ключ \"' || i"),
        ("smallint", "i"),
        ("date", "current_date + i"),
    ],
)
def test_keys_of_any_type_make_the_round_trip(connection: Connection, key: str, keys: str) -> None:
    run(
        connection,
        f'CREATE TABLE documents ("the key" {key} PRIMARY KEY, "Der Text" varchar(9),'
        " embeddings halfvec(3)[])",
    )
    run(
        connection,
        """SELECT colbert.create_index('documents', options => '{"text": "Der Text"}')""",
    )
    run(connection, f"INSERT INTO documents SELECT {keys}, 'x' FROM generate_series(1, 3) i")
    claimed = claim(connection)
    assert len(claimed) == 3
    assert store(connection, claimed[0], "x")
    assert fail(connection, claimed[1], "x") is not None
    let_time_pass(connection)
    assert sorted([*claim(connection), *claim(connection)]) == sorted(claimed[1:])


def test_a_partitioned_table_has_pending_documents_as_one_table(connection: Connection) -> None:
    run(
        connection,
        "CREATE TABLE documents (id int PRIMARY KEY, content text, embeddings vector(3)[])"
        " PARTITION BY RANGE (id)",
    )
    run(connection, "CREATE TABLE low PARTITION OF documents FOR VALUES FROM (0) TO (100)")
    run(
        connection, """SELECT colbert.create_index('documents', options => '{"text": "content"}')"""
    )
    run(connection, "CREATE TABLE high PARTITION OF documents FOR VALUES FROM (100) TO (200)")
    run(connection, "INSERT INTO documents VALUES (1, 'one'), (101, 'more')")
    assert claim(connection) == ["1", "101"]
    assert store(connection, "101", "more")
    run(connection, "UPDATE documents SET content = 'moved', id = 7 WHERE id = 101")
    assert claim(connection) == ["7"]
    assert problems(connection) == []
    run(connection, "SELECT colbert.drop_index('documents')")
    assert run(connection, "SELECT FROM pg_trigger WHERE NOT tgisinternal") == []


def test_two_columns_of_a_table_have_texts_of_their_own(texts: Connection) -> None:
    run(texts, "ALTER TABLE documents ADD title text, ADD title_vectors vector(3)[]")
    run(
        texts,
        "SELECT colbert.create_index('documents', 'title_vectors', 'exact',"
        ' \'{"text": "title"}\')',
    )
    run(texts, "UPDATE documents SET title = 'a title' WHERE id = 4")
    assert claim(texts, ", embeddings => 'title_vectors'") == ["4"]
    assert claim(texts, ", embeddings => 'embeddings'") == ["1", "2", "3"]
    assert pending(texts) == [1, 2, 3]


# Rights


@pytest.fixture
def encoder_role(committed: Connection, new_role: Any) -> str:
    """A role that may read key, text and array, and write the array: what a worker needs."""
    role: str = new_role()
    run(
        committed,
        f"GRANT SELECT (id, content, embeddings), UPDATE (embeddings) ON documents TO {role}",
    )
    run(committed, "ALTER TABLE documents ADD secret text")
    run(committed, """UPDATE colbert._index SET options = options || '{"model": {"name": "m"}}'""")
    committed.commit()
    return role


def test_a_worker_needs_no_rights_but_those_on_key_text_and_array(
    committed: Connection, encoder_role: str, database: str
) -> None:
    with psycopg.connect(as_role(database, encoder_role)) as worker:
        assert claim(worker, ", model => %s", '{"name": "m"}') == ["1", "2", "3"]
        assert store(worker, "1", "one")
        assert fail(worker, "2", "two") is not None
        assert run(worker, "SELECT doc_id FROM colbert.failures('documents')") == [("2",)]
        counts = "SELECT pending, encoding, failed FROM colbert.pending('documents')"
        assert run(worker, counts) == [(2, 1, 1)]
        assert run(worker, "SELECT * FROM colbert.failures") == []
        assert run(worker, "SELECT role::text FROM colbert.workers") == [(encoder_role,)]
        worker.commit()
    assert problems(committed) == []


def test_only_the_owners_worker_can_leave_a_model(
    committed: Connection, encoder_role: str, database: str
) -> None:
    run(committed, "UPDATE colbert._index SET options = options - 'model'")
    committed.commit()
    with psycopg.connect(as_role(database, encoder_role)) as worker:
        refused = refusal(worker, "SELECT colbert.claim_pending('documents', model => %s)", MODEL)
    assert refused.sqlstate == "42501"
    assert primary(refused) == 'the index on table "public.documents" does not know its model yet'


def test_who_may_not_write_the_array_writes_no_attempts_and_reads_those_of_what_they_may_read(
    committed: Connection, encoder_role: str, database: str, new_role: Any
) -> None:
    reader, stranger = new_role(), new_role()
    run(committed, f"GRANT SELECT ON documents TO {reader}")
    claim(committed)
    fail(committed, "1", "one")
    fail(committed, "2", "two")
    committed.commit()
    for role in (reader, stranger):
        with psycopg.connect(as_role(database, role)) as other:
            assert refusal(other, "SELECT colbert.claim_pending('documents')").sqlstate == "42501"
            insert = (
                "INSERT INTO documents_embeddings_attempts VALUES (3, 1, 'x', now(), now()),"
                " (4, 1, 'x', now(), now())"
            )
            assert refusal(other, insert).sqlstate == "42501"
            try:
                deleted = other.execute("DELETE FROM documents_embeddings_attempts").rowcount
            except psycopg.errors.InsufficientPrivilege:
                deleted = 0
            assert deleted == 0
            other.rollback()
    with psycopg.connect(as_role(database, reader)) as other:
        failures = "SELECT doc_id FROM colbert.failures('documents') ORDER BY 1"
        assert run(other, failures) == [("1",), ("2",)]
        assert run(other, "SELECT pending, failed FROM colbert.pending('documents')") == [(3, 2)]
    with psycopg.connect(as_role(database, stranger)) as other:
        for parts in ("", "('documents')"):
            assert run(other, f"SELECT * FROM colbert.failures{parts}") == []
            counts = f"SELECT pending, failed FROM colbert.pending{parts}"
            assert run(other, counts) == [(None, None)]


def test_row_level_security_hides_failures_and_pending_documents_from_readers_and_workers(
    committed: Connection, encoder_role: str, database: str
) -> None:
    claim(committed)
    fail(committed, "1", "one", "secret one")
    fail(committed, "2", "two", "secret two")
    run(committed, "ALTER TABLE documents ENABLE ROW LEVEL SECURITY")
    run(committed, "CREATE POLICY others ON documents USING (id <> 1)")
    committed.commit()
    with psycopg.connect(as_role(database, encoder_role)) as worker:
        failures = "SELECT error FROM colbert.failures('documents')"
        assert run(worker, failures) == [("secret two",)]
        assert run(worker, "SELECT pending, failed FROM colbert.pending('documents')") == [(2, 1)]
        assert run(worker, "SELECT doc_id FROM documents_embeddings_attempts ORDER BY 1") == [
            (2,),
            (3,),
        ]
        assert run(worker, "SELECT colbert.retry_failures('documents')") == [(1,)]
        assert claim(worker) == ["2"]
        assert not store(worker, "1", "one")


def test_a_worker_writes_no_other_roles_account(
    committed: Connection, encoder_role: str, database: str
) -> None:
    claim(committed, ", worker => 'a'")
    committed.commit()
    with psycopg.connect(as_role(database, encoder_role)) as worker:
        claim(worker, ", worker => 'a'")
        forged = "UPDATE colbert._worker SET documents = 9"
        assert worker.execute(forged).rowcount == 1
        assert refusal(worker, "UPDATE colbert._worker SET role = 'postgres'").sqlstate == "42501"


def test_lost_attempts_at_documents_that_are_gone_hide_no_others(texts: Connection) -> None:
    many = "SELECT n, 'x' FROM generate_series(10, 40) AS n"
    run(texts, f"INSERT INTO documents (id, content) {many}")
    lost = claim(texts, ", 1000")
    let_time_pass(texts)
    run(texts, "SET LOCAL session_replication_role = replica")
    run(texts, "DELETE FROM documents WHERE id <> 40")
    run(texts, "SET LOCAL session_replication_role = origin")
    assert len(lost) > 17
    assert claim(texts) == ["40"]
