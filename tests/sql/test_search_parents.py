"""Search for long documents by the best of their chunks, judged by NumPy."""

from typing import Any

import numpy as np
import psycopg
import pytest

from tests.servers import as_role
from tests.sql.documents import (
    AB,
    A,
    B,
    Matrix,
    create_index,
    hint,
    maxsim,
    primary,
    refusal,
    run,
    texts,
    unit,
)

METHODS = ["exact", "hnsw", "ivfflat", "plaid"]


def create_chunks(connection: psycopg.Connection, parent: str = "bigint", key: str = "int") -> None:
    run(
        connection,
        f"CREATE TABLE chunks (id {key} PRIMARY KEY, document_id {parent}, lang text DEFAULT 'en',"
        " embeddings vector(3)[])",
    )


def insert(connection: psycopg.Connection, rows: dict[Any, tuple[Any, Matrix]]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            b"INSERT INTO chunks (id, document_id, embeddings)"
            b" VALUES (%s, %s, %s::text[]::vector[])",
            [(key, parent, texts(matrix)) for key, (parent, matrix) in rows.items()],
        )


def parents(
    connection: psycopg.Connection, query: Matrix, more: str = "", *values: object
) -> list[tuple[Any, ...]]:
    statement = (
        f"SELECT * FROM colbert.search_parents('chunks', %s::text[]::vector[], 'document_id'{more})"
    )
    return run(connection, statement, texts(query), *values)


def expected(
    query: Matrix, rows: dict[Any, tuple[Any, Matrix]], k: int
) -> list[tuple[Any, float, Any]]:
    """(parent, score, chunk): the best chunk of each parent, best first, ties by key."""
    best: dict[Any, tuple[float, Any]] = {}
    for key, (parent, matrix) in sorted(rows.items(), reverse=True):
        score = maxsim(query, matrix)
        if parent is not None and len(matrix) and score >= best.get(parent, (-np.inf,))[0]:
            best[parent] = (score, key)
    ranked = [(parent, score, key) for parent, (score, key) in best.items()]
    return sorted(ranked, key=lambda row: (-row[1], row[0]))[:k]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("k", [1, 5, 200])
def test_parents_come_with_the_exact_score_of_their_best_chunk(
    connection: psycopg.Connection, rng: np.random.Generator, method: str, k: int
) -> None:
    create_chunks(connection)
    rows: dict[Any, tuple[Any, Matrix]] = {
        key: (int(rng.integers(1, 40)) if key % 9 else None, unit(rng, int(rng.integers(0, 6)), 3))
        for key in range(1, 200)
    }
    insert(connection, rows)
    create_index(connection, "chunks", f", method => '{method}'")
    query = unit(rng, 5, 3)
    found = parents(connection, query, ", k => %s, candidates => 300", k)
    wanted = expected(query, rows, k)
    assert [(row[0], row[2]) for row in found] == [(row[0], row[2]) for row in wanted]
    np.testing.assert_allclose([row[1] for row in found], [row[1] for row in wanted], rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_k_parents_are_found_behind_any_number_of_chunks_of_one(
    connection: psycopg.Connection, rng: np.random.Generator, method: str
) -> None:
    create_chunks(connection)
    insert(connection, dict.fromkeys(range(1, 120), (7, AB)))
    insert(connection, {200: (1, A), 201: (2, B), 202: (3, -AB), 203: (None, AB)})
    create_index(
        connection, "chunks", f", method => '{method}', options => '{{\"candidates\": 4}}'"
    )
    assert parents(connection, AB, ", 4") == [
        (7, 2.0, 1),
        (1, 1.0, 200),
        (2, 1.0, 201),
        (3, 0.0, 202),
    ]
    assert [row[0] for row in parents(connection, AB, ", 2")] == [7, 1]
    assert len(parents(connection, AB, ", 9")) == 4
    assert parents(connection, AB, ", 4, exact => true") == parents(connection, AB, ", 4")


def test_the_best_chunk_is_found_even_if_no_candidate(connection: psycopg.Connection) -> None:
    # With few hits the index names chunk 1 of parent 1, and not its better chunk 2.
    create_chunks(connection)
    rows = {1: (1, A), 2: (1, np.array([[0.9, 0.43588989, 0]], np.float32)), 3: (2, B)}
    insert(connection, rows)
    create_index(connection, "chunks", ", options => '{\"hits\": 1}'")
    found = parents(connection, AB, ", 1, candidates => 1")
    assert [(row[0], row[2]) for row in found] == [(1, 2)]
    assert found[0][1] == pytest.approx(1.33588989)


def test_a_filter_limits_the_chunks_and_params_have_its_values(
    connection: psycopg.Connection,
) -> None:
    create_chunks(connection)
    insert(connection, {1: (1, AB), 2: (1, A), 3: (2, B), 4: (3, AB)})
    run(connection, "UPDATE chunks SET lang = 'de' WHERE id IN (2, 3)")
    create_index(connection, "chunks")
    german = ", filter => 'lang = params->>''lang''', params => '{\"lang\": \"de\"}'"
    assert parents(connection, AB, german) == [(1, 1.0, 2), (2, 1.0, 3)]


def test_row_level_security_hides_chunks_and_what_they_would_have_scored(
    own_connection: psycopg.Connection, database: str, new_role: Any
) -> None:
    create_chunks(own_connection)
    insert(own_connection, {1: (1, AB), 2: (1, A), 3: (2, AB)})
    create_index(own_connection, "chunks")
    role = new_role()
    run(
        own_connection,
        "ALTER TABLE chunks ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY some_chunks ON chunks USING (id = 2);"
        f"GRANT SELECT (id, document_id, embeddings) ON chunks TO {role}",
    )
    own_connection.commit()
    with psycopg.connect(as_role(database, role)) as reader:
        assert parents(reader, AB) == [(1, 1.0, 2)]


@pytest.mark.parametrize(
    ("parent", "key", "values"),
    [
        ("uuid", "bigint", ["00000000-0000-0000-0000-000000000001", 1]),
        ("text", "text", ["a 'document'", "a#1"]),
        ("bigint", "text", [5, "a#1"]),
        ("smallint", "smallint", [5, 1]),
        ("bigint", "uuid", [5, "00000000-0000-0000-0000-000000000001"]),
        ("date", "varchar(5)", ["2026-01-01", "a#1"]),
    ],
)
def test_keys_of_any_type_come_back(
    connection: psycopg.Connection, parent: str, key: str, values: list[Any]
) -> None:
    create_chunks(connection, parent, key)
    insert(connection, {values[1]: (values[0], A)})
    create_index(connection, "chunks")
    kind = "uuid" if parent == "uuid" else "text"
    [[found, score, chunk]] = parents(connection, A, f", key => NULL::{kind}")
    assert (str(found), score, chunk) == (str(values[0]), 1.0, str(values[1]))


def test_a_table_of_nothing_gives_nothing(connection: psycopg.Connection) -> None:
    create_chunks(connection)
    create_index(connection, "chunks")
    assert parents(connection, A) == []


@pytest.mark.parametrize(
    ("arguments", "message", "state"),
    [
        ("'nowhere'", 'parent column "nowhere" of table "public.chunks" does not exist', "42703"),
        ("NULL", 'parent column NULL of table "public.chunks" does not exist', "42703"),
        ("'lang'", 'keys of table "public.chunks" are of type text, not bigint', "42804"),
        ("'document_id', k => 0", "k must be at least 1, not 0", "22023"),
        ("'document_id', key => '5'", "key names a type, it takes no value", "22023"),
        ("'document_id', key => NULL::uuid", 'table "public.chunks" are of type bigint', "42804"),
    ],
)
def test_what_cannot_be_searched_for_is_refused(
    connection: psycopg.Connection, arguments: str, message: str, state: str
) -> None:
    create_chunks(connection)
    create_index(connection, "chunks")
    refused = refusal(
        connection,
        f"SELECT colbert.search_parents('chunks', %s::text[]::vector[], {arguments})",
        texts(A),
    )
    assert message in primary(refused)
    assert refused.sqlstate == state


def test_chunks_of_another_type_take_a_form_that_returns_them(
    connection: psycopg.Connection,
) -> None:
    create_chunks(connection, "bigint", "text")
    create_index(connection, "chunks")
    call = "SELECT colbert.search_parents('chunks', %s::text[]::vector[], 'document_id')"
    refused = refusal(connection, call, texts(A))
    assert refused.sqlstate == "42804"
    assert "key => NULL::text" in hint(refused)
