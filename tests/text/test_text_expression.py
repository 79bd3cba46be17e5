"""A text that is an expression over several columns of the row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from colbert_pg import Client, Worker
from tests.client.words import WordEncoder
from tests.sql.documents import hint, primary, problems, refusal, run
from tests.text.conftest import VECTOR
from tests.text.test_text_of_columns import encode

Connection = psycopg.Connection[Any]
TEXT = "title || E'\\n' || coalesce(body, '')"
COLUMNS = "title text, body text, shelf int, embeddings vector(3)[]"
CREATE = "SELECT colbert.create_index('papers', options => %s::jsonb)"


def make_papers(connection: Connection, text: str = TEXT, columns: str = COLUMNS) -> None:
    run(connection, f"CREATE TABLE papers (id bigint PRIMARY KEY, {columns})")
    run(connection, CREATE, json.dumps({"text": text}))


@pytest.fixture
def papers(connection: Connection) -> Connection:
    """A connection with table papers: 1 is encoded, 2 is pending."""
    make_papers(connection)
    run(
        connection,
        "INSERT INTO papers VALUES (2, 'Boats', NULL, 1, NULL),"
        " (1, 'Bread', 'flour and water', 1, %s)",
        VECTOR,
    )
    return connection


def claim(connection: Connection) -> list[Any]:
    return run(connection, "SELECT doc_id, content FROM colbert.claim_pending('papers')")


def store(connection: Connection, doc_id: str, content: str) -> bool:
    statement = "SELECT colbert.store_encoded('papers', %s, %s, %s::vector[])"
    ((stored,),) = run(connection, statement, doc_id, content, VECTOR)
    return bool(stored)


def encoded(connection: Connection) -> list[Any]:
    return [row[0] for row in run(connection, "SELECT id FROM papers WHERE embeddings IS NOT NULL")]


@contextmanager
def acting_as(connection: Connection, role: str) -> Iterator[None]:
    run(connection, f"SET ROLE {role}")
    yield
    run(connection, "RESET ROLE")


def advice(connection: Connection) -> Any:
    ((state, text),) = run(connection, "SELECT state, advice FROM colbert.indexes")
    return text if state == "broken" else None


def test_a_row_without_an_array_is_claimed_with_the_value_of_the_expression(
    papers: Connection,
) -> None:
    assert claim(papers) == [("2", "Boats\n")]
    assert store(papers, "2", "Boats\n")
    assert claim(papers) == []
    assert encoded(papers) == [1, 2]
    assert problems(papers, "papers") == []


@pytest.mark.parametrize(
    ("change", "pending"),
    [
        ("title = 'Rye'", True),
        ("body = 'rye and water'", True),
        ("body = NULL", True),
        ("title = E'Bread\\nflour and', body = 'water'", True),
        ("title = E'Bread\\nflour', body = 'and water'", True),
        ("title = NULL", False),  # no text: nothing to encode
        ("title = 'Bread', shelf = 7", False),
        ("id = 11", False),
    ],
)
def test_the_array_goes_when_the_value_changes(
    papers: Connection, change: str, pending: bool
) -> None:
    run(papers, f"UPDATE papers SET {change} WHERE id = 1")
    ((left,),) = run(papers, "SELECT embeddings IS NULL FROM papers WHERE id <> 2")
    assert left is (pending or "NULL" in change)
    assert ("2", "Boats\n") in claim(papers)
    assert len(run(papers, "SELECT FROM papers_embeddings_attempts")) == 1 + pending


def test_columns_that_change_and_leave_the_value_leave_the_array(connection: Connection) -> None:
    make_papers(connection, "lower(left(title, 5)) || coalesce(body, '')")
    run(connection, "INSERT INTO papers VALUES (1, 'Bread', NULL, 1, %s)", VECTOR)
    run(connection, "UPDATE papers SET title = 'BREAD and more', body = ''")
    assert encoded(connection) == [1]
    run(connection, "UPDATE papers SET title = 'Brea', body = 'd'")
    assert encoded(connection) == [1]
    run(connection, "UPDATE papers SET body = 'ds'")
    assert encoded(connection) == []


def test_a_writer_of_text_and_array_at_once_is_left_alone(papers: Connection) -> None:
    run(papers, "UPDATE papers SET title = 'Rye', embeddings = '{\"[0,1,0]\"}' WHERE id = 1")
    assert encoded(papers) == [1]


def test_a_value_that_changes_while_it_is_encoded_is_encoded_again(papers: Connection) -> None:
    ((doc_id, content),) = claim(papers)
    run(papers, "UPDATE papers SET body = 'nets' WHERE id = 2")
    assert not store(papers, doc_id, content)
    failed = "SELECT colbert.report_failure('papers', %s, %s, 'boom')"
    assert run(papers, failed, doc_id, content) == [(None,)]
    assert claim(papers) == [("2", "Boats\nnets")]
    assert run(papers, failed, "2", "Boats\nnets") != [(None,)]
    assert run(papers, "SELECT doc_id, error FROM colbert.failures") == [("2", "boom")]
    run(papers, "UPDATE papers SET body = 'sails' WHERE id = 2")
    assert run(papers, "SELECT doc_id, error FROM colbert.failures") == []
    assert store(papers, "2", "Boats\nsails")


def test_progress_is_seen_with_the_expression_as_it_was_given(papers: Connection) -> None:
    claim(papers)
    row = "SELECT text, pending, encoding FROM colbert.pending"
    assert run(papers, row) == [(TEXT, 1, 1)]
    assert run(papers, "SELECT pending, encoding FROM colbert.pending('papers')") == [(1, 1)]
    assert advice(papers) is None


def test_pending_documents_are_found_by_their_index(papers: Connection) -> None:
    many = "INSERT INTO papers SELECT n, 'x', 'y', 1, %s FROM generate_series(9, 3000) n"
    run(papers, many, VECTOR)
    run(papers, "ANALYZE papers")
    plan = run(
        papers,
        "EXPLAIN SELECT FROM papers s WHERE s.embeddings IS NULL"
        f" AND ({TEXT}) IS NOT NULL ORDER BY s.id LIMIT 32",
    )
    assert any("papers_embeddings_pending" in line for (line,) in plan)


def test_the_text_of_a_document_is_read_by_its_key(papers: Connection) -> None:
    read = "SELECT colbert.document_text('papers', %s)"
    assert run(papers, read, "1") == [("Bread\nflour and water",)]
    assert run(papers, read, "9") == [(None,)]


def test_renamed_columns_and_functions_are_followed(papers: Connection) -> None:
    run(papers, "ALTER TABLE papers RENAME title TO name; ALTER TABLE papers RENAME TO leaves")
    run(papers, "UPDATE leaves SET name = 'Rye' WHERE id = 1")
    run(papers, "INSERT INTO leaves (id, name) VALUES (3, 'Nets')")
    claimed = run(papers, "SELECT content FROM colbert.claim_pending('leaves')")
    assert claimed == [("Rye\nflour and water",), ("Boats\n",), ("Nets\n",)]
    assert advice(papers) is None


def test_a_column_of_the_expression_is_dropped_with_a_warning(papers: Connection) -> None:
    drop = "ALTER TABLE papers DROP body"
    assert refusal(papers, drop).sqlstate == "2BP01"
    run(papers, f"{drop} CASCADE")
    assert "run repair_index" in advice(papers)
    refused = refusal(papers, "SELECT colbert.claim_pending('papers')")
    assert refused.sqlstate == "55000"
    assert "is gone, with the index of pending documents" in primary(refused)
    mend, _, _ = hint(refused).rpartition(", as the owner")
    refused = refusal(papers, mend)
    assert 'column "body" does not exist' in primary(refused)
    run(papers, "SELECT colbert.drop_index('papers')")


def test_the_expression_comes_back_with_the_index_of_pending_documents(papers: Connection) -> None:
    run(papers, "DROP INDEX papers_embeddings_pending")
    assert advice(papers) == "the index of pending documents is gone, run repair_index"
    run(papers, "SELECT colbert.repair_index('papers')")
    assert advice(papers) is None
    assert claim(papers) == [("2", "Boats\n")]
    run(papers, "UPDATE papers SET body = 'rye' WHERE id = 1")
    assert claim(papers) == [("1", "Bread\nrye")]


@pytest.mark.parametrize(
    ("text", "message", "state"),
    [
        ("title || nowhere", 'option "text": column "nowhere" does not exist', "22023"),
        ("title || ", 'option "text": syntax error at or near ")"', "22023"),
        ("title || now()", "must be marked IMMUTABLE", "22023"),
        ("title || random()", "must be marked IMMUTABLE", "22023"),
        ("concat_ws(' ', title, body)", "must be marked IMMUTABLE", "22023"),
        ("(SELECT title)", "cannot use subquery in index predicate", "22023"),
        ("string_agg(title, body)", "aggregate functions are not allowed", "22023"),
        ("title || papers.body", "missing FROM-clause entry", "22023"),
        ("lower(title) || odd(body)", "function odd(text) does not exist", "22023"),
        ("title || (1 / 0)", "division by zero", "22023"),
        ("length(title) + 1", 'the expression of option "text" is of type integer', "42804"),
        ("title || made", 'the expression of option "text" needs column "made"', "42809"),
        (
            "repeat(title, cardinality(embeddings))",
            'the expression of option "text" needs column "embeddings"',
            "42809",
        ),
    ],
)
def test_an_expression_that_cannot_be_a_text_is_refused(
    connection: Connection, text: str, message: str, state: str
) -> None:
    made = "made text GENERATED ALWAYS AS (upper(body)) STORED"
    run(connection, f"CREATE TABLE papers (id bigint PRIMARY KEY, {COLUMNS}, {made})")
    refused = refusal(connection, CREATE, json.dumps({"text": text}))
    assert refused.sqlstate == state
    assert message in primary(refused)
    assert hint(refused)
    left = "SELECT relname FROM pg_class WHERE relname LIKE 'papers_embeddings%'"
    assert run(connection, left) == []


def test_pictures_are_a_column_and_no_expression(connection: Connection) -> None:
    run(connection, f"CREATE TABLE papers (id bigint PRIMARY KEY, {COLUMNS})")
    refused = refusal(connection, CREATE, '{"pictures": "title || body"}')
    assert refused.sqlstate == "42703"
    assert primary(refused).startswith('picture column "title || body" of table')


def test_a_column_with_the_name_of_an_expression_is_a_column(connection: Connection) -> None:
    make_papers(connection, "title || body", f'"title || body" text, {COLUMNS}')
    run(connection, "INSERT INTO papers VALUES (1, 'whole', 'a', 'b')")
    assert claim(connection) == [("1", "whole")]


def test_functions_of_other_schemas_are_named_with_them(connection: Connection) -> None:
    run(
        connection,
        "CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)'",
    )
    make_papers(connection, "public.shout(title)::varchar")
    run(connection, "SET LOCAL search_path = ''")
    run(connection, "INSERT INTO public.papers VALUES (1, 'Bread')")
    claimed = run(connection, "SELECT content FROM colbert.claim_pending('public.papers')")
    assert claimed == [("BREAD",)]
    run(connection, "ALTER FUNCTION public.shout RENAME TO cry")
    assert run(connection, "SELECT colbert.document_text('public.papers', '1')") == [("BREAD",)]


def test_odd_names_and_literals_are_taken_as_they_are(connection: Connection) -> None:
    text = """ "the title" || ' IS NULL)' || "select" -- a comment"""
    columns = '"the title" text, "select" text, embeddings vector(3)[]'
    make_papers(connection, text, columns)
    run(connection, "INSERT INTO papers VALUES (1, 'a', 'b')")
    assert claim(connection) == [("1", "a IS NULL)b")]
    run(connection, """UPDATE papers SET "select" = 'c'""")
    assert store(connection, "1", "a IS NULL)c")


@pytest.mark.parametrize("text", ["title || body", "body || title"])
def test_partitions_and_columns_in_another_order_are_one_table(
    connection: Connection, text: str
) -> None:
    run(
        connection,
        f"CREATE TABLE papers (id bigint PRIMARY KEY, {COLUMNS}) PARTITION BY RANGE (id);"
        f"CREATE TABLE part (body text, embeddings vector(3)[], shelf int, title text,"
        " id bigint NOT NULL);"
        "ALTER TABLE papers ATTACH PARTITION part FOR VALUES FROM (0) TO (9)",
    )
    run(connection, CREATE, json.dumps({"text": text}))
    run(connection, "INSERT INTO papers VALUES (1, 'a', 'b', 1, %s)", VECTOR)
    run(connection, "UPDATE papers SET shelf = 2")
    assert encoded(connection) == [1]
    run(connection, "UPDATE papers SET body = 'c'")
    assert claim(connection) == [("1", "ac" if text.startswith("title") else "ca")]


def test_a_worker_needs_to_read_every_column_of_the_expression(
    papers: Connection, new_role: Any
) -> None:
    role = new_role()
    run(
        papers,
        f"GRANT SELECT (id, title, embeddings), UPDATE (embeddings) ON papers TO {role}",
    )
    with acting_as(papers, role):
        pending = "SELECT pending FROM colbert.pending('papers')"
        assert run(papers, pending) == [(None,)]
        assert refusal(papers, "SELECT colbert.claim_pending('papers')").sqlstate == "42501"
    run(papers, f"GRANT SELECT (body) ON papers TO {role}")
    with acting_as(papers, role):
        assert run(papers, pending) == [(1,)]
        assert claim(papers) == [("2", "Boats\n")]
        assert store(papers, "2", "Boats\n")


def test_rows_that_a_worker_may_not_see_are_neither_claimed_nor_counted(
    papers: Connection, new_role: Any
) -> None:
    role = new_role()
    run(
        papers,
        "INSERT INTO papers VALUES (3, 'Nets', NULL, 2);"
        f"GRANT SELECT, UPDATE ON papers TO {role};"
        "ALTER TABLE papers ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY shelf ON papers USING (shelf = 2)",
    )
    assert len(claim(papers)) == 2
    with acting_as(papers, role):
        counts = "SELECT pending, encoding FROM colbert.pending('papers')"
        assert run(papers, counts) == [(1, 1)]


def test_somebody_else_does_not_parse_what_an_owner_left_in_the_registry(
    papers: Connection, new_role: Any
) -> None:
    role = new_role()
    run(papers, "DROP INDEX papers_embeddings_pending")
    run(papers, f"GRANT CREATE ON SCHEMA public TO {role}; ALTER TABLE papers OWNER TO {role}")
    refused = refusal(papers, "SELECT colbert.repair_index('papers')")
    assert refused.sqlstate == "42501"
    assert hint(refused) == f"SET ROLE {role}, and do it again."


def test_an_index_of_two_expressions_is_not_taken_for_one(papers: Connection) -> None:
    ((comment,),) = run(
        papers, "SELECT obj_description('papers_embeddings_pending'::regclass, 'pg_class')"
    )
    run(papers, "DROP INDEX papers_embeddings_pending")
    run(
        papers,
        "CREATE INDEX planted ON papers ((title IS NULL), (body IS NULL));"
        f"COMMENT ON INDEX planted IS '{comment}'",
    )
    refused = refusal(papers, "SELECT colbert.claim_pending('papers')")
    assert "the expression of the index" in primary(refused)


def test_an_index_is_begun_beside_writers_by_the_owner_alone(
    own_connection: Connection, new_role: Any
) -> None:
    own_connection.autocommit = True
    role = new_role()
    run(own_connection, f"CREATE TABLE papers (id bigint PRIMARY KEY, {COLUMNS})")
    run(
        own_connection,
        f"GRANT CREATE ON SCHEMA public TO {role}; ALTER TABLE papers OWNER TO {role}",
    )
    create = CREATE.replace("SELECT colbert.create_index", "CALL colbert.create_index_concurrently")
    options = json.dumps({"text": TEXT})
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="is an expression"):
        run(own_connection, create, options)
    assert run(own_connection, "SELECT FROM colbert.indexes") == []
    with acting_as(own_connection, role):
        run(own_connection, create, options)
    assert run(own_connection, "SELECT state FROM colbert.indexes") == [("ready",)]


def test_an_index_for_somebody_elses_table_takes_what_is_given(
    connection: Connection, new_role: Any
) -> None:
    role = new_role()
    run(connection, f"CREATE TABLE papers (id bigint PRIMARY KEY, {COLUMNS})")
    run(connection, f"GRANT CREATE ON SCHEMA public TO {role}; ALTER TABLE papers OWNER TO {role}")
    run(connection, CREATE, json.dumps({"text": TEXT}))
    with acting_as(connection, role):
        run(connection, "INSERT INTO papers VALUES (1, 'Bread')")
        assert claim(connection) == [("1", "Bread\n")]
        assert problems(connection, "papers") == []


# Clients and workers


@pytest.fixture
def committed(own_connection: Connection) -> Connection:
    """A connection in autocommit mode; the table has two papers, whose texts are encoded."""
    own_connection.autocommit = True
    make_papers(own_connection, columns=COLUMNS.replace("(3)", "(32)"))
    run(
        own_connection,
        "INSERT INTO papers VALUES (1, 'Bread', 'flour and water'), (2, 'Boats', 'nets')",
    )
    assert encode(own_connection) == ["Bread\nflour and water", "Boats\nnets"]
    return own_connection


def test_a_worker_encodes_the_value_and_what_was_encoded_is_explained(
    committed: Connection,
) -> None:
    client = Client(committed, WordEncoder())
    (hit,) = client.search("papers", "flour", k=1)
    assert hit.doc_id == 1
    explained = client.explain("papers", "flour", 1)
    assert explained.content == "Bread\nflour and water"
    assert [match.document_token for match in explained.matches if match.document_token]
    assert client.explain("papers", "flour", 1, content_column="title").content == "Bread"
    run(committed, "UPDATE papers SET title = 'Rye' WHERE id = 1")
    assert encode(committed) == ["Rye\nflour and water"]


def test_a_worker_waits_for_the_notice_of_a_new_row(committed: Connection) -> None:
    run(committed, "LISTEN colbert_pending")
    run(committed, "INSERT INTO papers (id, title) VALUES (3, 'Kites')")
    assert len(list(committed.notifies(timeout=5, stop_after=1))) == 1


def test_hybrid_search_looks_for_words_in_the_value(committed: Connection) -> None:
    client = Client(committed, WordEncoder())

    def found(words: str) -> list[Any]:
        hits = client.hybrid_search("papers", words, language="simple", k=1)
        return [(hit.doc_id, hit.text_rank) for hit in hits]

    assert found("bread") == found("flour") == [(1, 1)]
    assert found("nets") == [(2, 1)]


def test_an_index_is_built_beside_writers_and_anew(committed: Connection) -> None:
    run(committed, "SELECT colbert.drop_index('papers')")
    options = json.dumps({"text": TEXT})
    run(
        committed,
        "CALL colbert.create_index_concurrently('papers', method => 'hnsw', options => %s::jsonb)",
        options,
    )
    run(committed, "CALL colbert.reindex_concurrently('papers')")
    run(committed, "UPDATE papers SET body = 'sails' WHERE id = 2")
    assert encode(committed) == ["Boats\nsails"]
    assert problems(committed, "papers") == []
    assert run(committed, "SELECT state, options ->> 'text' FROM colbert.indexes") == [
        ("ready", TEXT)
    ]


def test_a_question_in_text_is_answered(committed: Connection) -> None:
    worker = Worker(committed, WordEncoder(), maintain=False)
    run(committed, "SELECT colbert.request_query('nets', 'papers')")
    worker.drain()
    found = run(committed, "SELECT doc_id FROM colbert.search_text('papers', 'nets', k => 1)")
    assert found == [(2,)]


def test_an_index_that_is_kept_apart_by_tenant_has_an_expression(connection: Connection) -> None:
    run(
        connection,
        f"CREATE TABLE papers (tenant int NOT NULL, id bigint, {COLUMNS},"
        " PRIMARY KEY (tenant, id))",
    )
    options = json.dumps({"text": TEXT, "tenant": "tenant"})
    run(
        connection,
        "SELECT colbert.create_index('papers', key => 'id', options => %s::jsonb)",
        options,
    )
    run(connection, "INSERT INTO papers VALUES (1, 1, 'Bread'), (2, 2, 'Boats')")
    assert claim(connection) == [("1", "Bread\n"), ("2", "Boats\n")]
    assert store(connection, "2", "Boats\n")
    run(connection, "UPDATE papers SET title = 'Nets' WHERE id = 2")
    assert claim(connection) == [("2", "Nets\n")]
