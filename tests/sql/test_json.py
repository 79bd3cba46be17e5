"""What JSON becomes a vector[]: PostgREST makes the arguments of a function by json_to_record."""

import json
from typing import Any

import psycopg
import pytest

from tests.sql.documents import refusal, run

VECTORS = ["[1,0,0]", "[0,0.5,-1e-3]"]
NUMBERS = [[1, 0, 0], [0, 0.5, -1e-3]]


@pytest.fixture
def documents(connection: psycopg.Connection) -> psycopg.Connection:
    run(connection, "CREATE TABLE documents (id int PRIMARY KEY, embeddings vector(3)[])")
    run(connection, """INSERT INTO documents VALUES (1, '{"[1,0,0]"}'), (2, '{"[0,1,0]"}')""")
    run(connection, "SELECT colbert.create_index('documents', method => 'exact')")
    return connection


@pytest.mark.parametrize("element", ["vector", "halfvec"])
def test_an_array_of_strings_becomes_an_array_of_vectors(
    connection: psycopg.Connection, element: str
) -> None:
    run(connection, f"CREATE TABLE arguments (query {element}[])")
    ((populated, as_written),) = run(
        connection,
        f"SELECT (json_populate_record(NULL::arguments, %s)).query, %s::text[]::{element}[]",
        json.dumps({"query": VECTORS}),
        VECTORS,
    )
    assert populated == as_written is not None


def test_arrays_of_numbers_do_not(documents: psycopg.Connection) -> None:
    refused = refusal(
        documents,
        "SELECT query FROM json_to_record(%s) AS _(query vector[])",
        json.dumps({"query": NUMBERS}),
    )
    assert refused.sqlstate == "22P02"


def call(connection: psycopg.Connection, function: str, types: str, body: dict[str, Any]) -> Any:
    """Call a function as PostgREST does for POST /rpc/function: by the names of its arguments."""
    names = ", ".join(f"{name} => _.{name}" for name in body)
    statement = (
        f"SELECT f.* FROM json_to_record(%s) AS _({types}), LATERAL {function}({names}) AS f"
    )
    return run(connection, statement, json.dumps(body))


def test_search_is_called_with_a_body_of_json(documents: psycopg.Connection) -> None:
    body = {"source": "documents", "query": ["[0,1,0]"], "k": 1}
    types = "source regclass, query vector[], k int"
    assert call(documents, "colbert.search", types, body) == [(2, 1.0)]
    filtered = {**body, "filter": "id < (params->>'below')::int", "params": {"below": 2}}
    types += ", filter text, params jsonb"
    assert call(documents, "colbert.search", types, filtered) == [(1, 0.0)]


def test_a_wrapper_takes_arrays_of_numbers(documents: psycopg.Connection) -> None:
    """The one of docs/postgrest.md."""
    run(
        documents,
        "CREATE FUNCTION wrapped(query jsonb, k int DEFAULT 10)"
        " RETURNS TABLE (doc_id bigint, score float8) LANGUAGE sql STABLE AS $$"
        " SELECT s.* FROM colbert.search('documents', (SELECT array_agg(v::text::vector ORDER BY n)"
        " FROM jsonb_array_elements(query) WITH ORDINALITY AS _(v, n)), k => k) AS s $$",
    )
    body = {"query": [[0, 1, 0], [0, 2.5e-1, 0]], "k": 1}
    assert call(documents, "wrapped", "query jsonb, k int", body) == [(2, 1.25)]
