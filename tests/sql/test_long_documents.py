"""Long documents, and queries of 1,024 tokens; benchmarks/long_documents.py tries all lengths."""

import re
from pathlib import Path

import numpy as np
import psycopg
import pytest

from tests.sql.documents import (
    Matrix,
    create_index,
    create_table,
    insert,
    keys,
    maxsim,
    problems,
    run,
    search,
    texts,
    unit,
)


@pytest.mark.parametrize(
    ("method", "tokens"),
    [("exact", 65_536), ("plaid", 16_384), ("ivfflat", 65_536), ("hnsw", 4_096)],
)
def test_a_long_document_is_stored_found_changed_checked_and_deleted(
    connection: psycopg.Connection, rng: np.random.Generator, method: str, tokens: int
) -> None:
    documents: dict[int, Matrix] = {key: unit(rng, 1 + 10 * key, 8) for key in range(40)}
    create_table(connection, embeddings="vector(8)[]")
    insert(connection, documents)
    create_index(connection, "documents", f", method => '{method}'")
    documents[40] = unit(rng, tokens, 8)
    insert(connection, {40: documents[40]})
    run(connection, "ANALYZE documents")
    assert problems(connection) == []
    for query in (documents[40][-1:], documents[40][::800]):
        [(key, score)] = search(connection, query, ", k => 1")
        assert key == 40
        assert score == pytest.approx(maxsim(query, documents[40]), abs=1e-4)
    matches = run(
        connection,
        "SELECT document_position FROM"
        " colbert.maxsim_matches(%s::text[]::vector[], 40, 'documents')",
        texts(documents[40][:: tokens // 3][:3]),
    )
    assert keys(matches) == [1, 1 + tokens // 3, 1 + 2 * (tokens // 3)]
    shorter = documents[40][: tokens // 2]
    run(
        connection,
        "UPDATE documents SET embeddings = embeddings[:%s] WHERE id = 40",
        len(shorter),
    )
    assert problems(connection) == []
    [(key, score)] = search(connection, documents[40][-1:], ", k => 1")
    assert score == pytest.approx(
        max(maxsim(documents[40][-1:], d) for d in (*list(documents.values())[:-1], shorter)),
        abs=1e-4,
    )
    run(connection, "DELETE FROM documents WHERE id = 40")
    assert problems(connection) == []
    assert keys(search(connection, documents[7], ", k => 1")) == [7]


@pytest.mark.parametrize("method", ["exact", "plaid", "hnsw"])
def test_a_query_of_1024_tokens_finds_its_document(
    connection: psycopg.Connection, rng: np.random.Generator, method: str
) -> None:
    documents = {key: unit(rng, 30, 8) for key in range(50)}
    create_table(connection, embeddings="vector(8)[]")
    insert(connection, documents)
    create_index(connection, "documents", f", method => '{method}'")
    query = documents[7][rng.integers(30, size=1024)]
    [(key, score)] = search(connection, query, ", k => 1")
    assert key == 7
    assert score == pytest.approx(maxsim(query, documents[7]), rel=1e-6)


def test_a_query_of_1024_tokens_takes_no_memory_that_grows_with_its_square(
    own_connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    status = Path(f"/proc/{own_connection.info.backend_pid}/status")
    if not status.exists():
        pytest.skip("the memory of a backend is read from Linux's /proc")
    create_table(own_connection, embeddings="vector(128)[]")
    insert(own_connection, {key: unit(rng, 5, 128) for key in range(5)})
    create_index(own_connection, "documents", ", method => 'exact'")
    peaks = []
    for tokens in (100, 1024):
        search(own_connection, unit(rng, tokens, 128))
        peaks.append(int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]))
    assert peaks[1] - peaks[0] < 150_000
