"""The candidate stage walks pgvector's index and finds what exact search finds."""

import json

import numpy as np
import psycopg
import pytest

from tests.sql.documents import (
    Matrix,
    clustered_documents,
    create_index,
    create_table,
    insert,
    keys,
    run,
    search,
)

DIMENSIONS = 32


@pytest.fixture(scope="module")
def clustered() -> tuple[dict[int, Matrix], list[Matrix]]:
    return clustered_documents(np.random.default_rng(7), 400, DIMENSIONS)


@pytest.mark.parametrize(
    ("method", "kept", "candidates", "least"),
    [
        ("hnsw", "halfvec", 40, 0.9),
        ("hnsw", "vector", 40, 0.9),
        ("hnsw", "bit", 100, 0.5),  # 32 bits a token are rough: more candidates make up for it
        ("ivfflat", "halfvec", 40, 0.9),
        ("ivfflat", "bit", 100, 0.5),
        ("plaid", None, 40, 0.9),
    ],
)
def test_candidates_hold_most_of_the_true_top_ten(
    connection: psycopg.Connection,
    clustered: tuple[dict[int, Matrix], list[Matrix]],
    method: str,
    kept: str | None,
    candidates: int,
    least: float,
) -> None:
    documents, queries = clustered
    create_table(connection, embeddings=f"vector({DIMENSIONS})[]")
    insert(connection, documents)
    given = json.dumps(
        ({"token_type": kept} if kept else {}) | ({"lists": 20} if method == "ivfflat" else {})
    )
    create_index(connection, "documents", f", method => '{method}', options => '{given}'")
    found = 0
    for query in queries:
        true = keys(search(connection, query, ", exact => true"))
        found += len(
            set(true) & set(keys(search(connection, query, f", candidates => {candidates}")))
        )
    assert found / (10 * len(queries)) >= least


@pytest.mark.parametrize("method", ["hnsw", "ivfflat"])
@pytest.mark.parametrize("kept", ["halfvec", "vector", "bit"])
@pytest.mark.parametrize("more", ["", ", filter => 'id > 0'"])
def test_every_query_token_walks_the_index_of_pgvector(
    own_connection: psycopg.Connection,
    clustered: tuple[dict[int, Matrix], list[Matrix]],
    method: str,
    kept: str,
    more: str,
) -> None:
    documents, [query, *_] = clustered
    create_table(own_connection, embeddings=f"vector({DIMENSIONS})[]")
    insert(own_connection, documents)
    create_index(
        own_connection,
        "documents",
        f", method => '{method}', options => '{json.dumps({'token_type': kept})}'",
    )
    run(own_connection, "ANALYZE documents")
    own_connection.commit()
    scans = (
        "SELECT pg_stat_get_xact_numscans('documents_embeddings_tokens_embedding_idx'::regclass)"
    )
    [[before]] = run(own_connection, scans)
    assert len(search(own_connection, query, f", candidates => 10{more}")) == 10
    [[after]] = run(own_connection, scans)
    assert after - before == len(query)
