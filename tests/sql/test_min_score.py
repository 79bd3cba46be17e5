"""Scores that people can use: weights of query tokens, and min_score."""

import numpy as np
import psycopg
import pytest

from tests.sql.documents import (
    METHODS,
    A,
    B,
    Matrix,
    Row,
    clustered_documents,
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
    texts,
    unit,
    unit_documents,
)

ALL = ", k => 200"


def load(
    connection: psycopg.Connection,
    documents: dict[int, Matrix],
    method: str = "hnsw",
    element: str = "vector",
) -> None:
    dimensions = next(iter(documents.values())).shape[1]
    create_table(connection, embeddings=f"{element}({dimensions})[]", more=", parent int")
    insert(connection, documents)
    run(connection, "UPDATE documents SET parent = id / 10")
    create_index(connection, "documents", f", method => '{method}'")


@pytest.mark.parametrize("element", ["vector", "halfvec"])
@pytest.mark.parametrize("method", METHODS)
def test_a_query_vector_of_another_length_weighs_its_token(
    connection: psycopg.Connection, rng: np.random.Generator, method: str, element: str
) -> None:
    documents, query = unit_documents(rng, 60, 6, 8), unit(rng, 20, 8)
    weights = rng.uniform(0.1, 30, size=(20, 1)).astype(np.float32)
    load(connection, documents, method, element)
    expected = ranking(query * weights, documents)
    for more in ("", ", exact => true"):
        found = {key: float(s) for key, s in search(connection, query * weights, ALL + more)}
        assert found == {k: pytest.approx(s, rel=1e-2) for k, s in expected}
    best = max(found, key=lambda key: found[key])
    arguments = "%s::text[]::vector[], %s::bigint"
    [[score]] = run(connection, f"SELECT colbert.maxsim({arguments})", texts(query * weights), best)
    assert score == pytest.approx(found[best], rel=1e-12)
    [[summed]] = run(
        connection,
        f"SELECT sum(similarity) FROM colbert.maxsim_matches({arguments})",
        texts(query * weights),
        best,
    )
    assert summed == pytest.approx(score, rel=1e-12)


@pytest.mark.parametrize("element", ["vector", "halfvec"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("length", [1e-40, 1e-20, 70000, 3e38])
def test_vectors_of_any_length_but_0_are_taken(
    connection: psycopg.Connection,
    rng: np.random.Generator,
    method: str,
    element: str,
    length: float,
) -> None:
    documents = unit_documents(rng, 30, 4, 3)
    query = np.concatenate([A, B]) * np.array([[1], [length]], dtype=np.float32)
    load(connection, documents, method, element)
    found = search(connection, query, ALL)
    expected = ranking(query, documents)
    assert [score for _, score in found] == [pytest.approx(s, rel=2e-3) for _, s in expected]


def test_parallel_workers_give_a_weighted_score_to_the_last_bit(
    own_connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    documents = unit_documents(rng, 1200, 2, 8)
    load(own_connection, documents, "exact", "halfvec")
    own_connection.commit()
    run(own_connection, "ANALYZE documents")
    query = unit(rng, 20, 8) * rng.uniform(0.1, 3, size=(20, 1)).astype(np.float32)
    found: dict[int, list[Row]] = {}
    for workers in (0, 2):
        run(own_connection, f"SET max_parallel_workers_per_gather = {workers}")
        found[workers] = search(own_connection, query, ", k => 1200")
    assert found[0] == found[2]


@pytest.mark.parametrize("vector", ["[0,0,0]", "[-0,0,0]"])
def test_a_token_without_a_direction_is_refused_with_what_to_do(
    documents: psycopg.Connection, vector: str
) -> None:
    error = refusal(
        documents, f"""SELECT * FROM colbert.search('documents', '{{"[1,0,0]","{vector}"}}')"""
    )
    assert error.sqlstate == "22023"
    assert primary(error) == "query: token 2 is a zero vector"
    assert hint(error) == "Leave the token out: it has no direction to compare."


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("min_score", [-1, 0, 0.6, 0.8, 0.95, 1])
@pytest.mark.parametrize("k", [1, 10, 200])
def test_no_result_is_below_min_score_and_none_above_it_is_left_out(
    connection: psycopg.Connection,
    rng: np.random.Generator,
    method: str,
    min_score: float,
    k: int,
) -> None:
    documents, query = unit_documents(rng, 60, 6, 4), unit(rng, 5, 4)
    load(connection, documents, method)
    expected = [row for row in ranking(query, documents, k) if row[1] / 5 >= min_score]
    for more in ("", ", exact => true", ", filter => 'id > 0'"):
        found = search(connection, query, f", k => {k}, min_score => {min_score}{more}")
        assert keys(found) == keys(expected)


def test_min_score_of_a_weighted_query_is_of_the_sum_of_its_lengths(
    connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    documents = unit_documents(rng, 60, 6, 4)
    query = unit(rng, 3, 4) * np.array([[5], [1], [0.5]], dtype=np.float32)
    load(connection, documents)
    expected = [key for key, score in ranking(query, documents) if score / 6.5 >= 0.8]
    assert 0 < len(expected) < 60
    assert keys(search(connection, query, ALL + ", min_score => 0.8")) == expected


@pytest.mark.parametrize("method", METHODS)
def test_every_form_of_search_leaves_out_what_is_below_min_score(
    connection: psycopg.Connection, rng: np.random.Generator, method: str
) -> None:
    documents, query = unit_documents(rng, 100, 6, 4), unit(rng, 5, 4)
    load(connection, documents, method)
    good = [(key, score) for key, score in ranking(query, documents) if score / 5 >= 0.8]
    assert 3 < len(good) < 50
    q, least = texts(query), ", min_score => 0.8"

    def found(call: str) -> list[object]:
        return keys(run(connection, f"SELECT * FROM colbert.{call}", q))

    vectors = "'documents', %s::text[]::vector[]"
    by_text = f"search({vectors}, k => 100, key => NULL::text{least})"
    assert found(by_text) == [str(key) for key, _ in good]
    ids = "(SELECT array_agg(id) FROM documents)"
    assert found(f"rerank({vectors}, {ids}{least})") == keys(good)
    assert found(f"rerank({vectors}, {ids}::text[], 2{least})") == [str(k) for k, _ in good[:2]]
    parents = list(dict.fromkeys(key // 10 for key, _ in good))
    for k in (3, 20):
        call = f"search_parents({vectors}, 'parent', k => {k}{least})"
        assert found(call) == parents[:k]
        assert found(call.replace(least, f", exact => true{least}")) == parents[:k]


def test_keys_of_uuids_take_min_score_too(connection: psycopg.Connection) -> None:
    near, far = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
    create_table(connection, key="uuid", more=", parent uuid")
    for key, document in ((near, A), (far, B)):
        run(
            connection,
            "INSERT INTO documents VALUES (%s, %s::text[]::vector[], %s)",
            key,
            texts(document),
            key,
        )
    create_index(connection)
    vectors, least = "'documents', %s::text[]::vector[]", "min_score => 0.5"
    for call in (
        f"search({vectors}, key => NULL::uuid, {least})",
        f"rerank({vectors}, ARRAY['{near}', '{far}']::uuid[], {least})",
        f"search_parents({vectors}, 'parent', key => NULL::uuid, {least})",
        f"search_parents({vectors}, 'parent', key => NULL::text, {least})",
    ):
        rows = run(connection, f"SELECT * FROM colbert.{call}", texts(A))
        assert [str(row[0]) for row in rows] == [near]
    for key in ("uuid", "text"):
        call = f"explain_search({vectors}, key => NULL::{key}, {least})"
        assert run(connection, f"SELECT * FROM colbert.{call}", texts(A))


@pytest.mark.parametrize("method", ["hnsw", "ivfflat", "plaid"])
def test_a_search_stops_where_the_next_candidate_is_unlikely_to_reach_min_score(
    connection: psycopg.Connection, rng: np.random.Generator, method: str
) -> None:
    documents, queries = clustered_documents(rng, 600, 16)
    run(connection, "SELECT setseed(0.5)")  # by which plaid draws its centroids
    load(connection, documents, method)
    least = float(np.median([ranking(q, documents, 5)[-1][1] / len(q) for q in queries]))
    scored: dict[str, int] = {}
    for min_score in ("NULL", str(least)):
        scored[min_score] = 0
        for query in queries:
            stages = run(
                connection,
                "SELECT stage, documents FROM colbert.explain_search('documents',"
                f" %s::text[]::vector[], k => 50, min_score => {min_score})",
                texts(query),
            )
            scored[min_score] += next(count for stage, count in stages if stage == "scores")
    assert scored[str(least)] < 0.8 * scored["NULL"]
    found = [keys(search(connection, q, f", k => 50, min_score => {least}")) for q in queries]
    true = [
        [key for key, score in ranking(q, documents, 50) if score / len(q) >= least]
        for q in queries
    ]
    missed = sum(len(set(t) - set(f)) for t, f in zip(true, found, strict=True))
    assert missed <= 0.1 * sum(map(len, true))
    assert not any(set(f) - set(t) for t, f in zip(true, found, strict=True))


@pytest.mark.parametrize("min_score", ["1.5", "-2", "15", "'NaN'", "'Infinity'"])
def test_a_min_score_that_is_no_mean_is_refused(
    documents: psycopg.Connection, min_score: str
) -> None:
    for call in (
        "search('documents', %s::text[]::vector[], ",
        "rerank('documents', %s::text[]::vector[], ARRAY[1]::bigint[], ",
        "explain_search('documents', %s::text[]::vector[], ",
        "search_parents('documents', %s::text[]::vector[], 'id', ",
    ):
        error = refusal(
            documents, f"SELECT * FROM colbert.{call}min_score => {min_score})", texts(A)
        )
        assert error.sqlstate == "22023"
        assert primary(error).startswith("min_score must be from -1 to 1, not ")
        assert "divided by the sum" in hint(error)


def test_where_documents_are_not_of_unit_length_min_score_may_be_any_number(
    connection: psycopg.Connection,
) -> None:
    create_table(connection)
    insert(connection, {1: 5 * A, 2: 2 * A})
    create_index(connection, "documents", """, options => '{"normalized": false}'""")
    assert search(connection, A, ", min_score => 3") == [(1, 5)]
