"""Row-level security and privileges: what a reader may not see takes no place and leaks nowhere."""

import itertools
from collections.abc import Callable

import psycopg
import pytest

from tests.servers import as_role
from tests.sql.documents import (
    AB,
    METHODS,
    A,
    B,
    C,
    create_index,
    insert,
    primary,
    refusal,
    run,
    texts,
)

QUERY = """'{"[1,0,0]","[0,1,0]"}'::vector[]"""
SEARCHES = [
    f"colbert.search('documents', {QUERY}, k => 100)",
    f"colbert.search('documents', {QUERY}, k => 5, candidates => 5)",
    f"colbert.search('documents', {QUERY}, k => 100, exact => true)",
    f"colbert.search('documents', {QUERY}, k => 100, filter => 'true) OR (true')",
    f"colbert.rerank('documents', {QUERY}, (SELECT array_agg(i) FROM generate_series(1,99) i))",
]


def make_tenants(
    connection: psycopg.Connection, tenants: list[str], method: str, key: str = "id"
) -> None:
    """Table documents, in which each tenant (a role) sees its own rows: 1, 3, … and 2, 4, …"""
    run(
        connection,
        f"CREATE TABLE documents ({key} int PRIMARY KEY, tenant name, embeddings vector(3)[], "
        "secret text)",
    )
    first, second = tenants
    for number, document in enumerate([AB, AB, B, B, C, C] * 10, start=1):
        run(
            connection,
            "INSERT INTO documents VALUES (%s, %s, %s::text[]::vector[], 'secret')",
            number,
            first if number % 2 else second,
            texts(document),
        )
    run(
        connection,
        "ALTER TABLE documents ENABLE ROW LEVEL SECURITY; "
        "CREATE POLICY own ON documents USING (tenant = current_user)",
    )
    for tenant in tenants:
        run(connection, f"GRANT SELECT, INSERT, UPDATE, DELETE ON documents TO {tenant}")
    create_index(connection, "documents", f", method => '{method}'")
    run(connection, "ANALYZE documents")
    connection.commit()


@pytest.fixture
def tenants(new_role: Callable[[], str]) -> list[str]:
    return [new_role(), new_role()]


@pytest.mark.parametrize("method", METHODS)
def test_documents_of_other_tenants_are_never_returned_and_take_no_place(
    own_connection: psycopg.Connection,
    database: str,
    tenants: list[str],
    method: str,
) -> None:
    make_tenants(own_connection, tenants, method)
    expected = [row * 2 + 1 for row in range(30)]
    expected.sort(key=lambda key: ((key - 1) // 2 % 3, key))
    with psycopg.connect(as_role(database, tenants[0])) as reader:
        for workers, search in itertools.product([0, 2], SEARCHES):
            run(reader, f"SET max_parallel_workers_per_gather = {workers}")
            found = [row[0] for row in run(reader, f"SELECT doc_id FROM {search}")]
            assert found == expected[: 5 if "k => 5" in search else None]


@pytest.mark.parametrize("method", METHODS)
def test_a_tenant_scores_its_own_documents_only(
    own_connection: psycopg.Connection, database: str, tenants: list[str], method: str
) -> None:
    make_tenants(own_connection, tenants, method)
    with psycopg.connect(as_role(database, tenants[0])) as reader:
        assert run(reader, f"SELECT colbert.maxsim({QUERY}, 1)") == [(2.0,)]
        assert run(reader, f"SELECT colbert.maxsim({QUERY}, 2)") == [(None,)]
        assert run(reader, f"SELECT * FROM colbert.maxsim_matches({QUERY}, 2)") == []


@pytest.mark.parametrize(
    "key",
    [
        "id",
        "doc_id",
    ],
)
@pytest.mark.parametrize("method", ["hnsw", "ivfflat"])
def test_the_token_table_shows_the_tokens_of_visible_documents_only(
    own_connection: psycopg.Connection, database: str, tenants: list[str], method: str, key: str
) -> None:
    make_tenants(own_connection, tenants, method, key)
    with psycopg.connect(as_role(database, tenants[1])) as reader:
        seen = run(reader, "SELECT DISTINCT doc_id % 2 FROM documents_embeddings_tokens")
        assert seen == [(0,)]
        statistics = run(reader, "SELECT FROM pg_stats WHERE tablename LIKE 'documents%tokens'")
        assert statistics == []


def test_a_column_doc_id_of_the_source_does_not_open_the_token_table(
    own_connection: psycopg.Connection, database: str, tenants: list[str]
) -> None:
    run(own_connection, "CREATE DOMAIN document_number AS int")
    make_tenants(own_connection, tenants, "exact")
    run(own_connection, "SELECT colbert.drop_index('documents')")
    run(own_connection, "ALTER TABLE documents ADD doc_id int; UPDATE documents SET doc_id = id")
    create_index(own_connection)
    own_connection.commit()
    with psycopg.connect(as_role(database, tenants[1])) as reader:
        seen = run(reader, "SELECT DISTINCT doc_id % 2 FROM documents_embeddings_tokens")
    assert seen == [(0,)]


def test_a_leaky_filter_sees_own_rows_only(
    own_connection: psycopg.Connection, database: str, tenants: list[str]
) -> None:
    make_tenants(own_connection, tenants, "hnsw")
    run(own_connection, f"GRANT CREATE ON SCHEMA public TO {tenants[0]}")
    own_connection.commit()
    with psycopg.connect(as_role(database, tenants[0])) as reader:
        notices: list[str] = []
        reader.add_notice_handler(lambda note: notices.append(note.message_primary or ""))
        run(
            reader,
            "CREATE FUNCTION leak(id int) RETURNS bool LANGUAGE plpgsql COST 0.0001 "
            "AS $$ BEGIN RAISE NOTICE '%', id; RETURN true; END $$",
        )
        run(reader, f"SELECT * FROM colbert.search('documents', {QUERY}, filter => 'leak(id)')")
    assert notices
    assert {int(note) % 2 for note in notices} == {1}


def test_a_tenant_writes_its_own_documents_and_the_index_follows(
    own_connection: psycopg.Connection, database: str, tenants: list[str]
) -> None:
    make_tenants(own_connection, tenants, "hnsw")
    with psycopg.connect(as_role(database, tenants[0])) as writer:
        run(writer, "UPDATE documents SET embeddings = '{\"[0,0,1]\"}' WHERE id < 10")
        run(writer, "DELETE FROM documents WHERE id > 50")
        run(writer, "INSERT INTO documents VALUES (101, current_user, '{\"[1,0,0]\"}')")
        error = refusal(writer, "INSERT INTO documents VALUES (102, 'x', '{\"[1,0,0]\"}')")
        assert error.sqlstate == "42501"
        denied = refusal(writer, "DELETE FROM documents_embeddings_tokens")
        assert denied.sqlstate == "42501"
    assert run(own_connection, "SELECT * FROM colbert.check_index('documents')") == []


@pytest.fixture
def reader(own_documents: psycopg.Connection, new_role: Callable[[], str]) -> str:
    """A role without any right on the table documents of three good documents."""
    own_documents.commit()
    return new_role()


@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT * FROM colbert.search('documents', {QUERY})",
        f"SELECT * FROM colbert.search('documents', {QUERY}, k => 1)",
        f"SELECT * FROM colbert.rerank('documents', {QUERY}, ARRAY[1])",
        f"SELECT colbert.maxsim({QUERY}, 1)",
        "SELECT * FROM documents_embeddings_tokens",
        "SELECT count(*) FROM documents_embeddings_tokens",
    ],
)
def test_without_select_on_the_source_nothing_is_read(
    own_documents: psycopg.Connection, database: str, reader: str, statement: str
) -> None:
    with psycopg.connect(as_role(database, reader)) as connection:
        error = refusal(connection, statement)
    assert error.sqlstate == "42501"
    assert "permission denied for table documents" in primary(error)


def test_one_grant_on_the_source_is_all_that_a_reader_needs(
    own_documents: psycopg.Connection, database: str, reader: str
) -> None:
    run(own_documents, f"GRANT SELECT ON documents TO {reader}")
    own_documents.commit()
    with psycopg.connect(as_role(database, reader)) as connection:
        for k in (1, 10):
            found = run(connection, f"SELECT * FROM colbert.search('documents', {QUERY}, {k})")
            assert found == [(1, 2.0), (2, 1.0), (3, 0.0)][:k]
        assert run(connection, "SELECT state FROM colbert.indexes") == [("ready",)]
        assert run(connection, "SELECT count(*) FROM documents_embeddings_tokens") == [(4,)]


def test_two_columns_granted_are_enough_and_the_others_stay_closed(
    own_documents: psycopg.Connection, database: str, reader: str
) -> None:
    run(own_documents, f"GRANT SELECT (id, embeddings) ON documents TO {reader}")
    own_documents.commit()
    with psycopg.connect(as_role(database, reader)) as connection:
        found = run(connection, f"SELECT * FROM colbert.search('documents', {QUERY}, k => 1)")
        assert found == [(1, 2.0)]
        error = refusal(
            connection, f"SELECT colbert.search('documents', {QUERY}, filter => $$lang = 'en'$$)"
        )
    assert error.sqlstate == "42501"


def test_the_key_alone_does_not_open_the_vectors(
    own_documents: psycopg.Connection, database: str, reader: str
) -> None:
    run(own_documents, f"GRANT SELECT (id) ON documents TO {reader}")
    own_documents.commit()
    with psycopg.connect(as_role(database, reader)) as connection:
        error = refusal(connection, "SELECT * FROM documents_embeddings_tokens")
    assert error.sqlstate == "42501"


def test_a_writer_without_rights_on_the_index_keeps_it_in_step(
    own_documents: psycopg.Connection, database: str, reader: str
) -> None:
    run(own_documents, f"GRANT INSERT, UPDATE, DELETE, SELECT, TRUNCATE ON documents TO {reader}")
    own_documents.commit()
    with psycopg.connect(as_role(database, reader)) as writer:
        insert(writer, {11: A, 12: B})
        run(writer, "UPDATE documents SET id = 13 WHERE id = 11")
        run(writer, "DELETE FROM documents WHERE id = 2")
    assert run(own_documents, "SELECT * FROM colbert.check_index('documents')") == []
    own_documents.commit()
    with psycopg.connect(as_role(database, reader)) as writer:
        run(writer, "TRUNCATE documents")
    assert run(own_documents, "SELECT * FROM documents_embeddings_tokens") == []
