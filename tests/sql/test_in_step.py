"""The triggers: after every write the index is what the arrays are; bad writes fail whole."""

import psycopg
import pytest

from tests.sql.documents import (
    AB,
    METHODS,
    A,
    B,
    create_index,
    create_table,
    insert,
    primary,
    problems,
    refusal,
    run,
    search,
    tokens,
)

ONE = """'{"[0,0,1]"}'::vector[]"""


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (f"INSERT INTO documents VALUES (9, {ONE})", {1: 2, 2: 1, 3: 1, 9: 1}),
        ("INSERT INTO documents VALUES (9, NULL), (10, '{}')", {1: 2, 2: 1, 3: 1}),
        (f"UPDATE documents SET embeddings = {ONE}", {1: 1, 2: 1, 3: 1, 4: 1, 5: 1}),
        ("UPDATE documents SET embeddings = NULL WHERE id = 1", {2: 1, 3: 1}),
        ("UPDATE documents SET embeddings = '{}' WHERE id = 1", {2: 1, 3: 1}),
        (
            f"UPDATE documents SET embeddings = {ONE} WHERE id IN (4, 5)",
            {1: 2, 2: 1, 3: 1, 4: 1, 5: 1},
        ),
        ("UPDATE documents SET id = id + 10", {11: 2, 12: 1, 13: 1}),
        (f"UPDATE documents SET id = 20, embeddings = {ONE} WHERE id = 1", {2: 1, 3: 1, 20: 1}),
        ("UPDATE documents SET embeddings[3] = '[0,0,1]' WHERE id = 1", {1: 3, 2: 1, 3: 1}),
        ("DELETE FROM documents WHERE id <> 2", {2: 1}),
        ("TRUNCATE documents", {}),
        (
            f"INSERT INTO documents VALUES (1, {ONE}) ON CONFLICT (id) DO NOTHING",
            {1: 2, 2: 1, 3: 1},
        ),
        (
            f"INSERT INTO documents VALUES (1, {ONE}), (9, {ONE}) ON CONFLICT (id) "
            "DO UPDATE SET embeddings = excluded.embeddings",
            {1: 1, 2: 1, 3: 1, 9: 1},
        ),
        (
            "WITH gone AS (DELETE FROM documents WHERE id = 1 RETURNING *) "
            "INSERT INTO documents SELECT id + 6, embeddings FROM gone",
            {2: 1, 3: 1, 7: 2},
        ),
        (
            f"MERGE INTO documents AS d USING (VALUES (1), (2), (9)) AS v (id) ON v.id = d.id "
            f"WHEN MATCHED AND v.id = 1 THEN DELETE "
            f"WHEN MATCHED THEN UPDATE SET embeddings = {ONE} "
            f"|| d.embeddings WHEN NOT MATCHED THEN INSERT (id, embeddings) VALUES (v.id, {ONE})",
            {2: 2, 3: 1, 9: 1},
        ),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_every_statement_leaves_the_index_in_step(
    documents: psycopg.Connection, method: str, statement: str, expected: dict[int, int]
) -> None:
    run(documents, "SELECT colbert.drop_index('documents')")
    create_index(documents, "documents", f", method => '{method}'")
    run(documents, statement)
    assert problems(documents) == []
    counts = {
        "exact": "SELECT NULL, NULL WHERE false",
        "plaid": "SELECT doc_id, tokens FROM documents_embeddings_documents",
    }.get(method, "SELECT doc_id, count(*) FROM documents_embeddings_tokens GROUP BY 1")
    assert dict(run(documents, counts)) == ({} if method == "exact" else expected)


def test_copy_fills_the_index(documents: psycopg.Connection) -> None:
    with documents.cursor().copy("COPY documents (id, embeddings) FROM STDIN") as copy:
        copy.write('21\t{"[1,0,0]","[0,1,0]"}\n22\t\\N\n23\t{}\n')
    assert problems(documents) == []
    assert [row for row in tokens(documents) if row[0] > 20] == [(21, 1), (21, 2)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE documents SET lang = 'de'",
        "UPDATE documents SET embeddings = embeddings, id = id",
        "INSERT INTO documents (id, lang) VALUES (1, 'fr') "
        "ON CONFLICT (id) DO UPDATE SET lang = excluded.lang",
    ],
)
def test_a_write_that_changes_neither_array_nor_key_does_no_work(
    own_documents: psycopg.Connection, statement: str
) -> None:
    own_documents.commit()
    physical = (
        "SELECT ctid::text, xmin::text, doc_id FROM documents_embeddings_tokens ORDER BY 3, 1"
    )
    before = run(own_documents, physical)
    run(own_documents, statement)
    assert run(own_documents, physical) == before


def test_rollback_and_savepoints_take_the_index_with_them(
    own_documents: psycopg.Connection,
) -> None:
    own_documents.commit()
    before = tokens(own_documents)
    run(own_documents, "SAVEPOINT a")
    run(own_documents, "DELETE FROM documents")
    assert search(own_documents, AB) == []
    run(own_documents, "ROLLBACK TO a")
    assert tokens(own_documents) == before
    insert(own_documents, {9: AB})
    run(own_documents, "RELEASE a")
    assert search(own_documents, AB, ", k => 2") == [(1, 2.0), (9, 2.0)]
    own_documents.rollback()
    assert tokens(own_documents) == before
    assert problems(own_documents) == []


def test_an_array_that_a_before_trigger_sets_is_the_one_indexed(
    documents: psycopg.Connection,
) -> None:
    run(
        documents,
        f"""CREATE FUNCTION encode() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN NEW.embeddings := {ONE}; RETURN NEW; END $$""",
    )
    run(
        documents,
        "CREATE TRIGGER encode BEFORE INSERT OR UPDATE ON documents "
        "FOR EACH ROW EXECUTE FUNCTION encode()",
    )
    run(documents, "INSERT INTO documents (id) VALUES (9)")
    run(documents, "UPDATE documents SET lang = 'de' WHERE id = 1")
    assert problems(documents) == []
    assert [row for row in tokens(documents) if row[0] in (1, 9)] == [(1, 1), (9, 1)]


@pytest.mark.parametrize("name", ["a_first", "z_last"])
@pytest.mark.parametrize(
    ("event", "body", "statement"),
    [
        (
            "INSERT",
            f"UPDATE documents SET embeddings = {ONE} WHERE id = NEW.id",
            """INSERT INTO documents VALUES (9, '{"[1,0,0]"}')""",
        ),
        (
            "UPDATE OF lang",
            f"UPDATE documents SET embeddings = {ONE} WHERE id = NEW.id",
            "UPDATE documents SET lang = 'x', embeddings = embeddings || embeddings WHERE id = 2",
        ),
        (
            "INSERT",
            "DELETE FROM documents WHERE id = NEW.id",
            """INSERT INTO documents VALUES (9, '{"[1,0,0]"}')""",
        ),
    ],
)
def test_after_triggers_of_the_user_may_write_the_same_row(
    documents: psycopg.Connection,
    name: str,
    event: str,
    body: str,
    statement: str,
) -> None:
    run(
        documents,
        "CREATE FUNCTION react() RETURNS trigger LANGUAGE plpgsql "
        f"AS $$ BEGIN {body}; RETURN NULL; END $$",
    )
    run(
        documents,
        f"CREATE TRIGGER {name} AFTER {event} ON documents FOR EACH ROW EXECUTE FUNCTION react()",
    )
    run(documents, statement)
    assert problems(documents) == []


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO documents VALUES (8, '{\"[1,0,0]\"}'), (9, '{\"[1,1,0]\"}')",
        "UPDATE documents SET embeddings = '{\"[1,1,0]\"}', id = 9 WHERE id < 3 AND id > 1",
        "INSERT INTO documents VALUES (9, '{\"[1,0,0]\",NULL}')",
    ],
)
@pytest.mark.parametrize("method", ["exact", "hnsw"])
def test_a_bad_document_is_refused_with_all_of_its_statement(
    documents: psycopg.Connection, statement: str, method: str
) -> None:
    run(documents, "SELECT colbert.drop_index('documents')")
    create_index(documents, "documents", f", method => '{method}'")
    before = run(documents, "SELECT id FROM documents ORDER BY id")
    error = refusal(documents, statement)
    assert primary(error).startswith('document "9": token ')
    assert error.diag.message_detail == ('Column "embeddings" of table "public.documents".')
    assert run(documents, "SELECT id FROM documents ORDER BY id") == before
    assert problems(documents) == []


def test_a_write_without_the_registry_row_is_refused(documents: psycopg.Connection) -> None:
    run(documents, "DELETE FROM colbert._index")
    error = refusal(documents, "DELETE FROM documents")
    assert error.sqlstate == "42704"
    assert "is not in the registry" in primary(error)
    assert "late-interaction index" in primary(error)


def test_a_write_without_the_token_table_is_refused(documents: psycopg.Connection) -> None:
    run(documents, "DROP TABLE documents_embeddings_tokens")
    error = refusal(documents, "DELETE FROM documents")
    assert error.sqlstate == "42P01"
    assert 'a table of the index on "public.documents" is not there any more' in primary(error)


class TestUpsert:
    """upsert, for engines that restrict triggers."""

    STATEMENT = "SELECT colbert.upsert('documents', %s, '{\"[1,0,0]\"}'::vector[])"

    @pytest.mark.parametrize("triggers", ["true", "false"])
    @pytest.mark.parametrize("method", ["exact", "hnsw"])
    @pytest.mark.parametrize("element", ["vector", "halfvec"])
    def test_it_inserts_updates_and_keeps_in_step(
        self, connection: psycopg.Connection, triggers: str, method: str, element: str
    ) -> None:
        create_table(connection, embeddings=f"{element}(3)[]")
        insert(connection, {1: AB})
        more = f""", method => '{method}', options => '{{"triggers": {triggers}}}'"""
        create_index(connection, "documents", more)
        for key in (1, 2, 2):
            run(connection, self.STATEMENT, key)
        assert search(connection, A) == [(1, 1.0), (2, 1.0)]
        assert problems(connection) == []
        run(connection, "SELECT colbert.upsert('documents', 2, NULL)")
        assert search(connection, A) == [(1, 1.0)]
        assert problems(connection) == []
        count = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"
        assert run(connection, count) == [(2 if triggers == "true" else 0,)]
        run(connection, "SELECT colbert.repair_index('documents')")
        assert run(connection, count) == [(2 if triggers == "true" else 0,)]
        assert run(connection, "SELECT state FROM colbert.indexes") == [("ready",)]
        run(connection, "SELECT colbert.drop_index('documents')")

    def test_without_a_key_it_is_refused(self, documents: psycopg.Connection) -> None:
        error = refusal(documents, "SELECT colbert.upsert('documents', NULL::int, NULL)")
        assert (error.sqlstate, primary(error)) == ("22004", "doc_id must not be NULL")

    @pytest.mark.parametrize("triggers", ["true", "false"])
    def test_a_bad_document_is_refused(self, connection: psycopg.Connection, triggers: str) -> None:
        create_table(connection)
        create_index(connection, "documents", f""", options => '{{"triggers": {triggers}}}'""")
        error = refusal(
            connection, "SELECT colbert.upsert('documents', 7, '{\"[0,0,0]\"}'::vector[])"
        )
        assert primary(error) == 'document "7": token 1 is a zero vector'
        assert run(connection, "SELECT FROM documents") == []

    @pytest.mark.parametrize(
        ("key_type", "there", "given"),
        [("varchar(3)", "abc", "'abcdef'::text"), ("bigint", 2, "1.5::numeric")],
    )
    def test_it_never_writes_another_document_than_the_one_named(
        self, connection: psycopg.Connection, key_type: str, there: object, given: str
    ) -> None:
        create_table(connection, key=key_type)
        insert(connection, {there: B})
        create_index(connection)
        try:
            with connection.transaction():
                run(connection, f"SELECT colbert.upsert('documents', {given}, NULL)")
        except psycopg.Error:
            pass
        assert run(connection, "SELECT cardinality(embeddings) FROM documents") == [(1,)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("statement", "reaction"),
    [
        ("UPDATE documents SET embeddings = {one}", "UPDATE documents SET embeddings = {two} {at}"),
        ("UPDATE documents SET embeddings = {one}", "DELETE FROM documents {at}"),
        (
            "DELETE FROM documents",
            "INSERT INTO documents VALUES (2, {two}), (3, {two}) ON CONFLICT DO NOTHING",
        ),
        ("UPDATE documents SET id = id + 10", "INSERT INTO documents VALUES (2, {two})"),
    ],
)
def test_a_trigger_that_changes_other_rows_of_the_statement_has_the_last_word(
    connection: psycopg.Connection, method: str, statement: str, reaction: str
) -> None:
    create_table(connection)
    insert(connection, {1: AB, 2: A, 3: B})
    create_index(connection, "documents", f", method => '{method}'")
    words = {"one": ONE, "two": """'{"[0,1,0]","[0,0,1]"}'::vector[]""", "at": "WHERE id > 1"}
    run(
        connection,
        "CREATE FUNCTION react() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF OLD.id = 1 AND pg_trigger_depth() = 1 THEN {reaction.format(**words)}; END IF; "
        "RETURN NULL; END $$;"
        "CREATE TRIGGER react AFTER UPDATE OR DELETE ON documents "
        "FOR EACH ROW EXECUTE FUNCTION react()",
    )
    run(connection, statement.format(**words))
    assert problems(connection) == []


@pytest.mark.parametrize("method", METHODS)
def test_zero_and_minus_zero_are_two_arrays(connection: psycopg.Connection, method: str) -> None:
    create_table(connection)
    insert(connection, {1: A})
    create_index(connection, "documents", f", method => '{method}'")
    run(connection, """UPDATE documents SET embeddings = '{"[1,-0,0]"}'""")
    assert problems(connection) == []


def test_a_writer_from_before_the_index_may_try_again(
    own_connection: psycopg.Connection, database: str
) -> None:
    create_table(own_connection)
    insert(own_connection, {1: A})
    own_connection.commit()
    with psycopg.connect(database) as writer:
        writer.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        run(writer, "SELECT 1")
        create_index(own_connection)
        own_connection.commit()
        error = refusal(writer, f"INSERT INTO documents VALUES (2, {ONE})")
    assert error.sqlstate == "40001"
