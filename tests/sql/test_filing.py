"""How a build of the method plaid files documents under centroids, many at a time."""

import numpy as np
import numpy.typing as npt
import psycopg
import pytest

from tests.sql.documents import (
    A,
    Matrix,
    count,
    create_index,
    create_table,
    insert,
    keys,
    near,
    primary,
    problems,
    refusal,
    run,
    search,
    texts,
    unit,
)

CENTROIDS, FILED, NODES = (
    f"public.documents_embeddings_{table}" for table in ("centroids", "documents", "nodes")
)
INDEX = "(SELECT i FROM colbert._index AS i WHERE i.source = 'documents'::regclass)"


def centroids(connection: psycopg.Connection) -> tuple[npt.NDArray[np.int_], Matrix]:
    """Their ids, and the centroids."""
    rows = run(connection, f"SELECT id, centroid::real[] FROM {CENTROIDS} ORDER BY id")
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows], np.float32)


def build_tree(connection: psycopg.Connection, points: str) -> None:
    run(connection, f"SELECT colbert._plaid_build_tree({INDEX}, '{points}')")


def descend(connection: psycopg.Connection, tokens: Matrix) -> list[int]:
    """The nodes that the tokens come to, in their order."""
    run(connection, "CREATE TEMPORARY TABLE asked (id integer, token halfvec(16))")
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO asked VALUES (%s, %s::halfvec)", enumerate(texts(tokens)))
    [[statement]] = run(
        connection,
        f"SELECT colbert._plaid_descend_sql({INDEX}, 'SELECT id, token FROM pg_temp.asked')",
    )
    rows = run(connection, f"SELECT id, centroid_id FROM ({statement}) AS d ORDER BY id")
    run(connection, "DROP TABLE asked")
    assert [row[0] for row in rows] == list(range(len(tokens)))
    return [row[1] for row in rows]


def test_the_tree_finds_the_nearest_centroid_of_most_tokens(many: psycopg.Connection) -> None:
    ids, points = centroids(many)
    build_tree(many, f"SELECT id, centroid AS point FROM {CENTROIDS}")
    rng = np.random.default_rng(1)
    tokens = near(rng, points[rng.integers(len(points), size=500)], 0.4)
    found = descend(many, tokens)
    similarity = tokens @ points.T
    nearest = ids[similarity.argmax(axis=1)]
    assert np.mean(nearest == found) > 0.8
    assert np.mean(similarity[range(500), np.searchsorted(ids, found)]) > 0.97 * np.mean(
        similarity.max(axis=1)
    )


def test_every_node_leads_to_a_centroid(many: psycopg.Connection) -> None:
    build_tree(many, f"SELECT id, centroid AS point FROM {CENTROIDS}")
    rows = run(many, f"SELECT level, id, ids FROM {NODES}")
    for level in range(2):
        nodes = {row[1] for row in rows if row[0] == level + 1}
        assert {below for row in rows if row[0] == level for below in row[2]} <= nodes
    reached = {below for row in rows if row[0] == 2 for below in row[2]}
    assert len(reached) > 0.99 * count(many, CENTROIDS)


def test_no_node_has_many_more_points_than_others(many: psycopg.Connection) -> None:
    """All points are the same, and so are near every node."""
    build_tree(
        many,
        "SELECT i AS id, array_fill(0.25, ARRAY[16])::public.halfvec AS point"
        " FROM generate_series(1, 8000) AS i",
    )
    [[most]] = run(many, f"SELECT max(cardinality(ids)) FROM {NODES}")
    assert most <= 2 * 8 * 20 + 1
    assert descend(many, unit(np.random.default_rng(2), 3, 16))


@pytest.mark.parametrize("few", [1, 2, 9])
def test_a_tree_of_few_centroids_finds_the_nearest(many: psycopg.Connection, few: int) -> None:
    ids, points = centroids(many)
    build_tree(many, f"SELECT id, centroid AS point FROM {CENTROIDS} ORDER BY id LIMIT {few}")
    assert descend(many, points[:few]) == list(ids[:few])


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_documents_are_filed_under_the_centroids_of_their_tokens(
    many: psycopg.Connection, workers: int
) -> None:
    run(many, f"SET max_parallel_workers_per_gather = {workers}")
    run(many, "SELECT colbert.reindex('documents')")
    assert problems(many) == []
    ids, points = centroids(many)
    rows = run(
        many,
        "SELECT ARRAY(SELECT u.t::real[] FROM unnest(s.embeddings) AS u (t)),"
        f" f.centroid_ids, f.tokens FROM documents AS s JOIN {FILED} AS f ON f.doc_id = s.id",
    )
    assert len(rows) == 600
    found = 0.0
    for embeddings, centroid_ids, tokens in rows:
        assert tokens == 12
        assert centroid_ids == sorted(set(centroid_ids))
        nearest = ids[(np.array(embeddings, np.float32) @ points.T).argmax(axis=1)]
        found += len(set(nearest) & set(centroid_ids)) / len(set(nearest))
    assert found / 600 > 0.8


def test_nothing_is_left_of_the_tree_when_a_build_is_done(many: psycopg.Connection) -> None:
    for statement in ("SELECT", "SELECT colbert.reindex('documents')"):
        run(many, statement)
        assert run(many, f"SELECT pg_relation_size('{NODES}')") == [(0,)]


def test_who_reads_the_tree_does_not_hold_a_build_up(
    many: psycopg.Connection, many_database: str
) -> None:
    """pg_dump reads all tables, and for long."""
    with psycopg.connect(many_database) as reader:
        run(reader, f"SELECT FROM {NODES}")
        run(many, "SET LOCAL lock_timeout = '5s'")
        run(many, "SELECT colbert.reindex('documents')")
        assert count(many, NODES) == 0
        assert problems(many) == []


def test_documents_of_equal_tokens_are_built(connection: psycopg.Connection) -> None:
    create_table(connection)
    insert(connection, dict.fromkeys(range(1, 40), A))
    create_index(connection, "documents", ", method => 'plaid'")
    assert run(connection, f"SELECT DISTINCT centroid_ids FROM {FILED}") == [([1],)]
    assert problems(connection) == []


def test_documents_of_opposite_tokens_are_built(connection: psycopg.Connection) -> None:
    """The mean of all is no direction."""
    create_table(connection)
    insert(connection, {1: A, 2: -A, 3: A, 4: -A})
    create_index(connection, "documents", """, method => 'plaid', options => '{"centroids": 1}'""")
    assert problems(connection) == []
    assert keys(search(connection, -A)) == [2, 4, 1, 3]


def test_an_error_does_not_show_the_statement(many: psycopg.Connection) -> None:
    run(many, "SET LOCAL statement_timeout = 30")
    error = refusal(many, "SELECT colbert.reindex('documents')")
    assert error.sqlstate == "57014"
    assert primary(error) == "canceling statement due to statement timeout"
    assert len(error.diag.context or "") < 5000
