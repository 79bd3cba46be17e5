"""Several indexes, and names that need quoting, cutting or telling apart."""

import psycopg
import pytest
from psycopg import sql

from tests.sql.documents import (
    AB,
    METHODS,
    A,
    B,
    create_index,
    create_table,
    insert,
    refusal,
    run,
    search,
    texts,
)

LONG = "l" * 62
NAMES = [
    ("We ird", "t;x", "embeddings", "id"),
    ("public", 'quo"te', "em'b\"ed", 'k"ey'),
    ("schéma", "tablé ☃", "vecteurs é", "clé"),
    (LONG + "s", LONG + "t", LONG + "c", LONG + "k"),
    ("public", "☃" * 21, "☃" * 21, "id"),
    ("public", "select", "table", "user"),
    ("public", "percent %s", "%I %1$s", "%"),
    ("public", "documents", "params", "doc_id"),
    ("public", "documents", "embedding", "position"),
    ("public", "documents", "embeddings", "params"),
    ("public", "documents", "doc_id", "embeddings"),
    ("public", "documents", "a$sync$b$body$c", "id"),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("schema", "table", "column", "key"), NAMES)
def test_an_index_works_under_any_name(
    connection: psycopg.Connection,
    schema: str,
    table: str,
    column: str,
    key: str,
    method: str,
) -> None:
    names = {
        "schema": sql.Identifier(schema),
        "table": sql.Identifier(schema, table),
        "column": sql.Identifier(column),
        "key": sql.Identifier(key),
        "regclass": sql.Literal(sql.Identifier(schema, table).as_string(connection)),
        "name": sql.Literal(column),
        "method": sql.Literal(method),
        "ab": sql.SQL("""'{"[1,0,0]","[0,1,0]"}'::vector[]"""),
        "b": sql.SQL("""'{"[0,1,0]"}'::vector[]"""),
    }

    def do(statement: str) -> list[tuple[object, ...]]:
        cursor = connection.execute(sql.SQL(statement).format(**names))
        return cursor.fetchall() if cursor.description else []

    do("CREATE SCHEMA IF NOT EXISTS {schema}")
    do("CREATE TABLE {table} ({key} int PRIMARY KEY, {column} vector(3)[])")
    do("INSERT INTO {table} VALUES (1, {ab})")
    do("SELECT colbert.create_index({regclass}, {name}, {method})")
    do("INSERT INTO {table} VALUES (2, {b}), (3, {b})")
    do("UPDATE {table} SET {key} = 4 WHERE {key} = 3")
    do("UPDATE {table} SET {column} = {ab} WHERE {key} = 4")
    assert do("SELECT * FROM colbert.check_index({regclass})") == []
    found = [(1, 2.0), (4, 2.0), (2, 1.0)]
    assert do("SELECT * FROM colbert.search({regclass}, {ab})") == found
    assert do("SELECT * FROM colbert.search({regclass}, {ab}, k => 1)") == found[:1]
    assert do("SELECT * FROM colbert.rerank({regclass}, {ab}, ARRAY[1, 2, 4])") == found
    assert do("SELECT colbert.maxsim({ab}, 4)") == [(2.0,)]
    assert do("SELECT state FROM colbert.indexes") == [("ready",)]
    do("SELECT colbert.repair_index({regclass})")
    do("SELECT colbert.reindex({regclass}, {name})")
    do("TRUNCATE {table}")
    assert do("SELECT * FROM colbert.search({regclass}, {ab})") == []
    do("SELECT colbert.drop_index({regclass})")


def test_two_columns_of_a_table_are_indexed_apart(documents: psycopg.Connection) -> None:
    run(documents, "ALTER TABLE documents ADD title vector(3)[]")
    create_index(documents, "documents", ", 'title', method => 'ivfflat'")
    run(documents, "UPDATE documents SET title = '{\"[0,0,1]\"}' WHERE id = 1")
    by_title = (
        "SELECT * FROM colbert.search('documents', %s::text[]::vector[], embeddings => 'title')"
    )
    assert run(documents, by_title, texts(A)) == [(1, 0.0)]
    ambiguous = refusal(
        documents, "SELECT colbert.search('documents', %s::text[]::vector[])", texts(A)
    )
    assert ambiguous.sqlstate == "42P08"
    assert "embeddings =>" in (ambiguous.diag.message_hint or "")
    run(documents, "SELECT colbert.drop_index('documents', 'embeddings')")
    assert run(documents, "SELECT embeddings::text FROM colbert.indexes") == [("title",)]
    run(documents, "UPDATE documents SET title = NULL, embeddings = NULL")
    assert run(documents, "SELECT * FROM colbert.check_index('documents')") == []


def test_tables_of_one_name_in_two_schemas_are_indexed_apart(
    documents: psycopg.Connection,
) -> None:
    run(documents, "CREATE SCHEMA other")
    create_table(documents, "other.documents")
    create_index(documents, "other.documents")
    insert(documents, {7: AB}, "other.documents")
    here = "SELECT doc_id FROM colbert.search(%s::regclass, %s::text[]::vector[], k => 1)"
    assert run(documents, here, "documents", texts(AB)) == [(1,)]
    assert run(documents, here, "other.documents", texts(AB)) == [(7,)]
    run(documents, "SET search_path = other, public")
    assert run(documents, here, "documents", texts(AB)) == [(7,)]


def test_names_that_join_to_the_same_name_are_told_apart(connection: psycopg.Connection) -> None:
    run(connection, "CREATE TABLE a (id int PRIMARY KEY, b_c vector(3)[])")
    run(connection, "CREATE TABLE a_b (id int PRIMARY KEY, c vector(3)[])")
    run(connection, "SELECT colbert.create_index('a', 'b_c')")
    run(connection, "SELECT colbert.create_index('a_b', 'c', 'exact')")
    run(connection, "INSERT INTO a VALUES (1, '{\"[1,0,0]\"}')")
    run(connection, "INSERT INTO a_b VALUES (1, '{\"[1,0,0]\"}')")
    run(connection, "SELECT colbert.drop_index('a_b')")
    run(connection, "UPDATE a SET b_c = NULL")


def test_a_function_of_the_user_is_never_replaced(connection: psycopg.Connection) -> None:
    create_table(connection)
    run(
        connection,
        "CREATE FUNCTION documents_embeddings_sync() RETURNS trigger LANGUAGE plpgsql "
        "AS 'BEGIN RETURN NEW; END'",
    )
    body = "SELECT prosrc FROM pg_proc WHERE proname = 'documents_embeddings_sync'"
    before = run(connection, body)
    try:
        with connection.transaction():
            create_index(connection)
    except psycopg.Error:
        pass
    assert before[0] in run(connection, body)


def test_a_renamed_table_keeps_its_index(documents: psycopg.Connection) -> None:
    run(documents, "ALTER TABLE documents RENAME TO notes")
    insert(documents, {9: AB}, "notes")
    assert run(documents, "SELECT * FROM colbert.check_index('notes')") == []
    assert run(documents, "SELECT source::text, state FROM colbert.indexes") == [("notes", "ready")]
    run(documents, "CREATE SCHEMA other; ALTER TABLE notes SET SCHEMA other")
    insert(documents, {10: B}, "other.notes")
    run(documents, "SELECT colbert.repair_index('other.notes')")
    run(documents, "SELECT colbert.drop_index('other.notes')")
    assert (
        run(documents, "SELECT FROM pg_proc WHERE proname LIKE 'colbert!_sync!_%' ESCAPE '!'") == []
    )


@pytest.mark.parametrize(
    "column",
    [
        "embeddings",
        "id",
    ],
)
def test_a_renamed_column_is_a_broken_index(documents: psycopg.Connection, column: str) -> None:
    run(documents, f"ALTER TABLE documents RENAME {column} TO renamed")
    error = refusal(documents, "SELECT colbert.search('documents', %s::text[]::vector[])", texts(A))
    assert error.sqlstate == "42703"
    message = f'column "{column}" of the index on "public.documents" is not there any more'
    assert error.diag.message_primary == message
    [[state, advice]] = run(documents, "SELECT state, advice FROM colbert.indexes")
    assert (state, advice) == ("broken", f'column "{column}" is gone or of another type')


class TestPartitions:
    """A partitioned table is indexed as a whole."""

    @pytest.fixture
    def parts(self, connection: psycopg.Connection) -> psycopg.Connection:
        run(
            connection,
            "CREATE TABLE documents (id int PRIMARY KEY, embeddings vector(3)[]) "
            "PARTITION BY RANGE (id)",
        )
        run(connection, "CREATE TABLE low PARTITION OF documents FOR VALUES FROM (0) TO (100)")
        run(connection, "CREATE TABLE high PARTITION OF documents FOR VALUES FROM (100) TO (200)")
        create_index(connection)
        insert(connection, {1: AB, 2: B, 101: AB, 102: A})
        return connection

    def test_rows_of_all_partitions_are_found_and_kept_in_step(
        self, parts: psycopg.Connection
    ) -> None:
        run(parts, "UPDATE documents SET id = 150 WHERE id = 1")  # moves to the other partition
        run(parts, "DELETE FROM high WHERE id = 102")
        run(parts, "INSERT INTO low SELECT 3, embeddings FROM low")
        run(parts, "CREATE TABLE more PARTITION OF documents FOR VALUES FROM (200) TO (300)")
        insert(parts, {201: AB})
        assert run(parts, "SELECT * FROM colbert.check_index('documents')") == []
        found = "SELECT doc_id FROM colbert.search('documents', %s::text[]::vector[], k => 3)"
        assert run(parts, found, texts(AB)) == [(101,), (150,), (201,)]

    @pytest.mark.parametrize("statement", ["TRUNCATE low", "DROP TABLE low"])
    def test_a_search_is_not_shorter_after_a_partition_is_gone(
        self, parts: psycopg.Connection, statement: str
    ) -> None:
        run(parts, statement)
        assert search(parts, AB, ", 2, candidates => 2") == [(101, 2.0), (102, 1.0)]

    def test_what_a_gone_partition_left_is_found_and_mended(
        self, parts: psycopg.Connection
    ) -> None:
        run(parts, "TRUNCATE low")
        found = "SELECT problem, doc_id FROM colbert.check_index('documents')"
        assert run(parts, found) == [("orphaned document", "1"), ("orphaned document", "2")]
        assert run(parts, "SELECT colbert.repair_index('documents')") == [(2,)]
        assert run(parts, found) == []

    def test_drop_index_leaves_nothing_on_any_partition(self, parts: psycopg.Connection) -> None:
        run(parts, "SELECT colbert.drop_index('documents')")
        assert run(parts, "SELECT FROM pg_trigger WHERE NOT tgisinternal") == []


@pytest.mark.parametrize("text", ["{}", '{"text": "content"}'])
@pytest.mark.parametrize("method", METHODS)
def test_tables_of_a_row_without_names_are_found_by_the_method(
    connection: psycopg.Connection, method: str, text: str
) -> None:
    """A row that an earlier release wrote, or that was restored from its dump, has no names."""
    create_table(connection)
    run(connection, "ALTER TABLE documents ADD content text")
    create_index(connection, "documents", f", method => '{method}', options => '{text}'")
    if method == "plaid":  # which had three tables then
        run(
            connection,
            "UPDATE colbert._index AS i"
            "   SET tables = array_remove(i.tables, 'documents_embeddings_nodes'::regclass),"
            "       table_names = array_remove(i.table_names, 'nodes')",
        )
        run(connection, "DROP TABLE documents_embeddings_nodes")
    names = "SELECT colbert._table_names(i) FROM colbert._index AS i"
    given = run(connection, names)
    run(connection, "UPDATE colbert._index SET table_names = NULL")
    assert run(connection, names) == given
    insert(connection, {1: AB})
    assert search(connection, AB) == [(1, 2.0)]
    assert run(connection, "SELECT * FROM colbert.check_index('documents')") == []
    run(connection, "SELECT colbert.reindex('documents')")
    assert search(connection, AB) == [(1, 2.0)]
    assert run(connection, "SELECT * FROM colbert.check_index('documents')") == []
