"""Filters limit what is searched: exactly min(k, matching) rows, whatever the condition."""

import itertools

import numpy as np
import psycopg
import pytest

from tests.sql.documents import (
    AB,
    METHODS,
    Matrix,
    create_index,
    create_table,
    hint,
    insert,
    keys,
    primary,
    ranking,
    refusal,
    run,
    search,
    unit,
    unit_documents,
)

COUNT = 300
Corpus = tuple[psycopg.Connection, dict[int, Matrix], Matrix]


@pytest.fixture(params=METHODS)
def corpus(
    connection: psycopg.Connection, rng: np.random.Generator, request: pytest.FixtureRequest
) -> Corpus:
    """An indexed table with columns for filters, its documents, and a query."""
    create_table(
        connection,
        embeddings="vector(8)[]",
        more=", lang text DEFAULT 'en', params jsonb DEFAULT '{\"own\": 1}', doc_id int DEFAULT 7, "
        "position int DEFAULT 7, embedding text DEFAULT 'e', score real DEFAULT 0.5, "
        "k int DEFAULT 3",
    )
    documents = unit_documents(rng, COUNT, 3, 8)
    insert(connection, documents)
    create_index(connection, "documents", f", method => '{request.param}'")
    run(connection, "ANALYZE documents")
    return connection, documents, unit(rng, 4, 8)


def check(corpus: Corpus, matching: list[int], more: str, *values: object, k: int = 10) -> None:
    connection, documents, query = corpus
    found = search(connection, query, f", k => {k}, {more}", *values)
    expected = ranking(query, {key: documents[key] for key in matching}, k)
    assert keys(found) == keys(expected)
    assert [row[1] for row in found] == pytest.approx([row[1] for row in expected], abs=1e-5)


@pytest.mark.parametrize("candidates", [1, 100])
def test_every_selectivity_gives_k_rows_or_all_that_match(corpus: Corpus, candidates: int) -> None:
    connection, documents, query = corpus
    every = dict(ranking(query, documents))
    for matching, k in itertools.product([0, 1, 3, 150, 300], [1, 10, 1000]):
        found = search(
            connection,
            query,
            f", k => {k}, filter => 'id <= {matching}', candidates => {candidates}",
        )
        assert len(found) == min(k, matching)
        assert all(key <= matching for key in keys(found))
        scores = [every[key] for key in keys(found)]
        assert [row[1] for row in found] == pytest.approx(scores, abs=1e-5)
        if candidates == 100 or k >= matching:
            best = ranking(query, {key: documents[key] for key in range(1, matching + 1)}, k)
            assert len(set(keys(best)) & set(keys(found))) >= 0.9 * len(best)


CONDITIONS = [
    ("id = 5 -- x", [5]),
    ("id = 5 /* x */", [5]),
    ("-- x\nid = 5", [5]),
    ("lang = 'en' AND id = 5", [5]),
    ("id = 5 OR id = 6", [5, 6]),
    ("lang = $q$it's$q$ OR id = 5", [5]),
    ("lang LIKE '%n' AND id = 5", [5]),
    ("NULL", []),
    ("id IN (SELECT 5)", [5]),
    ("EXISTS (SELECT FROM documents AS x WHERE x.id = documents.id AND x.id = 5)", [5]),
    ("documents.id = 5", [5]),
    ("doc_id = 7 AND position = 7 AND embedding = 'e' AND score < 1 AND k = 3 AND id = 5", [5]),
    ("cardinality(embeddings) = 3 AND id = 5", [5]),
    ("(params ->> 'own')::int = 1 AND id = 5", [5]),
]


def test_a_condition_may_be_any_expression_over_the_columns(corpus: Corpus) -> None:
    for condition, matching in CONDITIONS:
        check(corpus, matching, "filter => %s", condition)


def test_values_come_through_params(corpus: Corpus) -> None:
    run(corpus[0], "ALTER TABLE documents DROP COLUMN params")
    run(corpus[0], "UPDATE documents SET lang = 'it''s' WHERE id < 4")
    condition = (
        "lang = params->>'lang' AND "
        "id = ANY (ARRAY(SELECT jsonb_array_elements_text(params->'ids')::int))"
    )
    values = 'filter => %s, params => \'{"lang": "it\'\'s", "ids": [1, 3, 9]}\''
    check(corpus, [1, 3], values, condition)


def test_functions_and_types_are_found_in_the_search_path_of_the_caller(corpus: Corpus) -> None:
    connection = corpus[0]
    run(
        connection,
        "CREATE SCHEMA mine; CREATE TYPE mine.language AS ENUM ('en', 'de'); "
        "CREATE FUNCTION mine.chosen(id bigint) RETURNS bool LANGUAGE sql RETURN id IN (5, 6); "
        "SET search_path = mine, public",
    )
    check(corpus, [5, 6], "filter => %s", "chosen(id) AND lang::language = 'en'")
    run(connection, "SET search_path = public")
    error = refusal(
        connection,
        "SELECT colbert.search('documents', ARRAY(SELECT unnest(embeddings) FROM documents "
        "WHERE id = 1), filter => 'chosen(id)')",
    )
    assert error.sqlstate == "42883"


REFUSED = [
    "",
    "true; DELETE FROM documents",
    "true)) AS d) AS s; DELETE FROM documents; SELECT (1",
    "true /* x",
    "'x",
    "nope = 1",
    "1",
    "(true",
    "count(*) > 1",
    "writes()",
]


def test_a_filter_that_is_no_condition_is_refused_and_writes_nothing(corpus: Corpus) -> None:
    connection = corpus[0]
    run(
        connection,
        "CREATE FUNCTION writes() RETURNS bool LANGUAGE sql STABLE AS "
        "'DELETE FROM documents; SELECT true'",
    )
    for condition in REFUSED:
        error = refusal(
            connection,
            "SELECT colbert.search('documents', "
            "(SELECT embeddings FROM documents WHERE id = 1), filter => %s)",
            condition,
        )
        assert (error.sqlstate or "")[:2] in ("42", "0A")
    assert run(connection, "SELECT count(*) FROM documents") == [(COUNT,)]


@pytest.mark.parametrize(
    "condition", ["false) OR (true", "false) UNION ALL SELECT 9, NULL WHERE (true"]
)
def test_a_filter_that_closes_its_parenthesis_is_code_like_any_other(
    corpus: Corpus, condition: str
) -> None:
    found = run(
        corpus[0],
        "SELECT s.doc_id FROM colbert.search('documents', "
        "(SELECT embeddings FROM documents WHERE id = 1), 1000, filter => %s) AS s",
        condition,
    )
    assert {key for (key,) in found} <= set(range(1, COUNT + 1))


def test_a_column_called_params_is_told_from_the_argument(connection: psycopg.Connection) -> None:
    create_table(connection, more=', params jsonb DEFAULT \'{"lang": "de"}\'')
    insert(connection, {1: AB})
    create_index(connection)
    given = """, params => '{"lang": "en"}'"""
    statement = "SELECT colbert.search('documents', '{\"[1,0,0]\"}', filter => %s" + given + ")"
    error = refusal(connection, statement, "params ->> 'lang' = 'en'")
    assert (error.sqlstate, hint(error)) == (
        "42702",
        "Write args.params in the filter for the argument.",
    )
    assert len(run(connection, statement, "args.params ->> 'lang' = 'en'")) == 1
    assert run(connection, statement, "params ->> 'lang' = args.params ->> 'lang'") == []
    column = "SELECT colbert.search('documents', '{\"[1,0,0]\"}', filter => %s)"
    assert len(run(connection, column, "params ->> 'lang' = 'de'")) == 1


@pytest.mark.parametrize(
    ("condition", "params"),
    [
        ("lang = params->>'lang'", None),
        ("lang = params->>'lang'", '{"Lang": "en"}'),
        ("lang = PARAMS ->> 'lang'", "{}"),
        ("id > 0 AND to_jsonb(lang) = params\n  -> 'lang'", '{"id": 1}'),
        ("lang = args.params->>'lang'", '["lang"]'),
        ("lang = (args . params -> 'lang') ->> 'code'", "null"),
        ("lang <> '--' AND lang = params->>'lang'", "{}"),
        ("lang = params->>'la''ng'", '{"lang": "en"}'),
    ],
)
def test_a_value_that_params_lacks_is_an_error(
    connection: psycopg.Connection, condition: str, params: str | None
) -> None:
    create_table(connection, more=", lang text DEFAULT 'en'")
    insert(connection, {1: AB})
    create_index(connection)
    for call in (
        """search('documents', '{"[1,0,0]"}', filter => %s, params => %s)""",
        """search_parents('documents', '{"[1,0,0]"}', 'id', filter => %s, params => %s)""",
        """hybrid_search('documents', '{"[1,0,0]"}', 'a', content => 'lang',
                         filter => %s, params => %s)""",
        """explain_search('documents', '{"[1,0,0]"}', filter => %s, params => %s)""",
        """measure_recall('documents', filter => %s, params => %s)""",
    ):
        error = refusal(connection, f"SELECT colbert.{call}", condition, params)
        assert error.sqlstate == "42P02"
        name = "la'ng" if "''" in condition else "lang"
        assert primary(error) == f'params lacks "{name}", which the filter names'
        assert f"""params => '{{"{name}": …}}'""" in hint(error)


@pytest.mark.parametrize(
    ("condition", "params"),
    [
        ("params->>'lang' IS NULL", '{"lang": null}'),
        ("params->'a'->>'b' IS NULL", '{"a": {}}'),
        ("lang = params->>'la''ng'", """{"la'ng": "en"}"""),
        ("jsonb_extract_path_text(params, 'lang') IS NULL", "{}"),
        ("(params)->>'lang' IS NULL", None),
        ("lang <> 'params->>''x'''", None),
        (r"lang <> E'\'params->>''x''' AND lang = params->>'l'", '{"l": "en"}'),
        ("lang = 'en' -- params->>'x'", None),
        ("lang = 'en' /* ** params->>'x' */", None),
        ("""lang = (SELECT t."params->>'x'" FROM others AS t)""", None),
        ("lang = (SELECT others.params->>'x' FROM others)", None),
        ("lang = (SELECT myparams->>'x' FROM others)", None),
    ],
)
def test_other_spellings_and_explicit_nulls_are_no_error(
    connection: psycopg.Connection, condition: str, params: str | None
) -> None:
    run(
        connection,
        """CREATE TABLE others (params jsonb, myparams jsonb, "params->>'x'" text);
           INSERT INTO others VALUES ('{"x": "en"}', '{"x": "en"}', 'en')""",
    )
    create_table(connection, more=", lang text DEFAULT 'en'")
    insert(connection, {1: AB})
    create_index(connection)
    statement = "SELECT colbert.search('documents', '{\"[1,0,0]\"}', filter => %s, params => %s)"
    assert len(run(connection, statement, condition, params)) == 1


def test_params_is_the_column_where_there_is_one(connection: psycopg.Connection) -> None:
    create_table(connection, more=""", params jsonb DEFAULT '{"lang": "de"}'""")
    insert(connection, {1: AB})
    create_index(connection)
    statement = "SELECT colbert.search('documents', '{\"[1,0,0]\"}', filter => %s)"
    assert len(run(connection, statement, "params->>'lang' = 'de'")) == 1
    assert run(connection, statement, "params->>'x' = 'de'") == []
    assert refusal(connection, statement, "args.params->>'x' = 'de'").sqlstate == "42P02"


@pytest.mark.parametrize("condition", ["", " \n\t"])
def test_an_empty_filter_is_said_to_be_one(connection: psycopg.Connection, condition: str) -> None:
    create_table(connection)
    create_index(connection)
    error = refusal(
        connection,
        "SELECT colbert.search('documents', '{\"[1,0,0]\"}', filter => %s)",
        condition,
    )
    assert (error.sqlstate, primary(error)) == ("42601", "filter is empty")
    assert "Leave it out" in hint(error)
