"""measure_recall, tune and explain_search: what they measure is what searches do."""

from collections.abc import Callable

import numpy as np
import psycopg
import pytest

from tests.servers import as_role
from tests.sql.documents import (
    AB,
    DERIVING,
    Matrix,
    clustered_documents,
    create_index,
    create_table,
    hint,
    insert,
    keys,
    primary,
    refusal,
    run,
    search,
    texts,
)

DIMENSIONS = 16


@pytest.fixture
def questions(connection: psycopg.Connection, rng: np.random.Generator) -> list[Matrix]:
    """400 documents in a table without an index, and ten queries in the table questions."""
    documents, queries = clustered_documents(rng, 400, DIMENSIONS)
    create_table(connection, embeddings=f"vector({DIMENSIONS})[]")
    insert(connection, documents)
    create_table(connection, "questions", embeddings=f"vector({DIMENSIONS})[]")
    insert(connection, dict(enumerate(queries)), "questions")
    return queries


@pytest.mark.parametrize("method", DERIVING)
def test_recall_is_that_of_searches(
    connection: psycopg.Connection, questions: list[Matrix], method: str
) -> None:
    create_index(connection, "documents", f", method => '{method}'")
    run(connection, "SET LOCAL colbert.candidates = 12")
    [[measured, recall, median, tail, exact, speedup]] = run(
        connection, "SELECT * FROM colbert.measure_recall('documents', 'questions')"
    )
    found = sum(
        len(
            set(keys(search(connection, query)))
            & set(keys(search(connection, query, ", exact => true")))
        )
        for query in questions
    )
    assert (measured, recall) == (10, pytest.approx(found / 100))
    assert recall < 1
    assert 0 < median <= tail
    assert speedup == pytest.approx(exact / median)


@pytest.mark.parametrize("key", ["bigint", "text"])
def test_queries_are_drawn_from_documents_where_none_are_given(
    connection: psycopg.Connection, rng: np.random.Generator, key: str
) -> None:
    create_table(connection, key=key, embeddings="vector(3)[]")
    insert(connection, {1: AB, 2: AB, 3: AB[:0]})
    create_index(connection)
    measure = "SELECT queries_measured, recall FROM colbert.measure_recall('documents', {})"
    for more in ("k => 1", "sample => 1", "k => 5, candidates => 7"):
        expected = 1 if "sample" in more else 2
        assert run(connection, measure.format(more)) == [(expected, 1.0)]


@pytest.mark.parametrize("method", DERIVING)
def test_tune_keeps_the_fastest_setting_that_reaches_the_target(
    connection: psycopg.Connection, questions: list[Matrix], method: str
) -> None:
    create_index(connection, "documents", f", method => '{method}'")
    run(connection, "SET LOCAL colbert.candidates = 1")  # tune does not let itself be fooled
    run(connection, "SET LOCAL colbert.effort = 3")
    tried = run(
        connection,
        "SELECT setting, recall, milliseconds, chosen "
        "FROM colbert.tune('documents', 0.9, 'questions', k => 5)",
    )
    assert len(tried) >= 12
    assert [row[2] for row in tried] == sorted(row[2] for row in tried)
    [chosen] = [row for row in tried if row[3]]
    assert chosen == next(row for row in tried if row[1] >= 0.9)
    assert run(connection, "SELECT options FROM colbert.indexes") == [(chosen[0],)]
    assert run(connection, "SHOW colbert.candidates") == [("1",)]
    assert run(connection, "SHOW colbert.effort") == [("3",)]


def test_tune_leaves_the_options_where_no_setting_reaches_the_target(
    connection: psycopg.Connection, questions: list[Matrix]
) -> None:
    given = """, method => 'hnsw', options => '{"hits": 77}'"""
    create_index(connection, "documents", given)
    run(connection, "CREATE VIEW first AS SELECT embeddings FROM questions WHERE id = 0")
    run(connection, "SET LOCAL session_replication_role = replica")
    run(connection, "INSERT INTO documents SELECT 0, embeddings FROM first")  # the index misses it
    tried = run(
        connection, "SELECT recall, chosen FROM colbert.tune('documents', 0.5, 'first', k => 1)"
    )
    assert set(tried) == {(0.0, False)}
    assert run(connection, "SELECT options FROM colbert.indexes") == [({"hits": 77},)]


@pytest.mark.parametrize("method", DERIVING)
def test_explain_names_the_stages_of_a_search(
    connection: psycopg.Connection, questions: list[Matrix], method: str
) -> None:
    create_index(connection, "documents", f", method => '{method}'")
    run(connection, "ANALYZE documents")

    def explain(more: str = "") -> dict[str, tuple[int, str]]:
        statement = f"SELECT * FROM colbert.explain_search('documents', %s::text[]::vector[]{more})"
        rows = run(connection, statement, texts(questions[0]))
        assert all(milliseconds > 0 for _, _, milliseconds, _, _ in rows)
        assert all(
            (read or 0) > 0 for stage, found, _, _, read in rows if stage == "candidates" and found
        )
        return {stage: (documents, detail) for stage, documents, _, detail, _ in rows}

    plain = explain()
    assert list(plain) == ["candidates", "scores"]
    assert "8 query tokens" in plain["candidates"][1]
    assert 10 < plain["scores"][0] <= plain["candidates"][0]
    many = explain(""", filter => 'id > (params->>''n'')::int', params => '{"n": 0}'""")
    assert list(many) == ["scope", "candidates", "scores"]
    assert many["scope"] == (400, "filter")
    few = explain(", filter => 'id < 20'")
    assert few["all"][0] == few["scope"][0] == 19
    assert few["candidates"] == (0, "none: scoring the whole scope is the better way")
    assert list(explain(", exact => true")) == ["all"]


@pytest.mark.parametrize(
    ("call", "sqlstate", "message", "advice"),
    [
        ("tune('documents', 1.5)", "22023", "target_recall must be from 0 to 1, not 1.5", "0.95"),
        ("tune('documents', NULL)", "22023", "target_recall must be from 0 to 1, not NULL", ""),
        ("tune('exact')", "22023", "an index of method exact has nothing to tune", "another"),
        ("measure_recall('empty')", "P0002", "there are no queries to measure with", "Store some"),
        ("measure_recall('documents', k => 0)", "22023", "k must be at least 1, not 0", "k => 10"),
        ("measure_recall('documents', sample => 0)", "22023", "sample must be at least 1", ""),
        (
            "measure_recall('documents', 'pairs')",
            "42702",
            '"public.pairs" has 2 columns of token vectors',
            "query_column =>",
        ),
        (
            "measure_recall('documents', 'pairs', query_column => 'c')",
            "42703",
            '"public.pairs" has 0 columns of token vectors named "c"',
            "query_column =>",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(
    connection: psycopg.Connection, call: str, sqlstate: str, message: str, advice: str
) -> None:
    for table in ("documents", "exact", "empty"):
        create_table(connection, table)
        create_index(connection, table, ", method => 'exact'" if table == "exact" else "")
    insert(connection, {1: AB, 2: AB})
    insert(connection, {1: AB}, "exact")
    run(connection, "CREATE TABLE pairs (a vector(3)[], b vector(3)[])")
    error = refusal(connection, f"SELECT * FROM colbert.{call}")
    assert error.sqlstate == sqlstate
    assert message in primary(error)
    assert advice in hint(error)


def test_a_reader_measures_and_only_the_owner_tunes(
    own_connection: psycopg.Connection, database: str, new_role: Callable[[], str]
) -> None:
    role = new_role()
    create_table(own_connection)
    insert(own_connection, {1: AB, 2: AB})
    create_index(own_connection)
    run(own_connection, f"GRANT SELECT ON documents TO {role}")
    own_connection.commit()
    with psycopg.connect(as_role(database, role)) as reader:
        assert run(reader, "SELECT recall FROM colbert.measure_recall('documents')") == [(1.0,)]
        assert refusal(reader, "SELECT colbert.tune('documents')").sqlstate == "42501"


@pytest.mark.parametrize("value", ["0", "-1", "much"])
def test_a_knob_that_is_no_positive_number_is_refused(
    connection: psycopg.Connection, questions: list[Matrix], value: str
) -> None:
    create_index(connection, "documents")
    run(connection, f"SET LOCAL colbert.effort = '{value}'")
    error = refusal(
        connection,
        "SELECT FROM colbert.search('documents', %s::text[]::vector[], k => 3)",
        texts(questions[0]),
    )
    assert error.sqlstate == "22023"
    assert primary(error) == f'effort must be a positive number, not "{value}"'
    assert hint(error) == "RESET colbert.effort, or set it anew."


@pytest.mark.parametrize("value", ["0", "-1", '"much"', "null"])
def test_an_option_that_is_no_positive_number_is_refused(
    connection: psycopg.Connection, questions: list[Matrix], value: str
) -> None:
    assert questions
    call = f"""SELECT colbert.create_index('documents', options => '{{"margin": {value}}}')"""
    error = refusal(connection, call)
    assert error.sqlstate == "22023"
    assert hint(error) == "It takes a positive number."
