"""Tables of documents for the tests, and NumPy in float64 as the judge of scores."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg

Matrix = npt.NDArray[np.float32]
Documents = Mapping[Any, Matrix]
Row = tuple[Any, ...]

METHODS = ["exact", "hnsw", "ivfflat", "plaid"]
"""Every method of create_index: what holds for all of them is tested with all of them."""
DERIVING = METHODS[1:]
"""Those that keep derived tables."""

A, B, C = (np.eye(3, dtype=np.float32)[[i]] for i in range(3))
"""Documents and queries of one token of three dimensions, orthogonal to each other."""
AB = np.concatenate([A, B])


def unit(rng: np.random.Generator, tokens: int, dimensions: int) -> Matrix:
    """Random unit vectors as rows."""
    drawn = rng.normal(size=(tokens, dimensions))
    unit_rows: Matrix = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit_rows.astype(np.float32)


def near(rng: np.random.Generator, vectors: Matrix, distance: float) -> Matrix:
    """Unit vectors that lie in random directions from others."""
    moved = vectors + distance * unit(rng, *vectors.shape)
    unit_rows: Matrix = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    return unit_rows.astype(np.float32)


def unit_documents(
    rng: np.random.Generator, count: int, tokens: int = 4, dimensions: int = 3
) -> dict[int, Matrix]:
    """Random documents with the keys 1, 2, …"""
    return {key: unit(rng, tokens, dimensions) for key in range(1, count + 1)}


def clustered_documents(
    rng: np.random.Generator, count: int, dimensions: int
) -> tuple[dict[int, Matrix], list[Matrix]]:
    """Documents of twelve tokens around 120 shared centres, and ten queries near some of them."""
    centres = unit(rng, 120, dimensions)
    documents = {
        key: near(rng, centres[rng.integers(120, size=12)], 0.6) for key in range(1, count + 1)
    }
    return documents, [near(rng, documents[key][:8], 0.6) for key in range(1, 11)]


def texts(matrix: Matrix) -> list[str]:
    """Each row as pgvector reads it; cast the list with ::text[]::vector[]."""
    return ["[" + ",".join(map(repr, row)) + "]" for row in matrix.astype(np.float64).tolist()]


def halved(matrix: Matrix) -> Matrix:
    """The matrix as halfvec keeps it."""
    return matrix.astype(np.float16).astype(np.float32)


def maxsim(query: Matrix, document: Matrix) -> float:
    """The score as its definition says, in float64."""
    if len(document) == 0:
        return 0.0
    products = query.astype(np.float64) @ document.astype(np.float64).T
    return float(products.max(axis=1).sum())


def ranking(query: Matrix, documents: Documents, k: int | None = None) -> list[tuple[Any, float]]:
    """What a search has to return: (key, score), best first, ties by key."""
    scored = [(key, maxsim(query, d)) for key, d in documents.items() if len(d)]
    return sorted(scored, key=lambda row: (-row[1], row[0]))[:k]


def run(connection: psycopg.Connection, statement: str, *values: object) -> list[Row]:
    """Execute a statement; returns its rows."""
    cursor = connection.execute(statement.encode(), values or None)
    return cursor.fetchall() if cursor.rownumber is not None else []


def refusal(connection: psycopg.Connection, statement: str, *values: object) -> psycopg.Error:
    """The error of a statement that must fail; the transaction goes on as before it."""
    try:
        with connection.transaction():
            run(connection, statement, *values)
    except psycopg.Error as error:
        return error
    raise AssertionError(f"not refused: {statement}")


def count(connection: psycopg.Connection, table: str, condition: str = "true") -> int:
    [[number]] = run(connection, f"SELECT count(*) FROM {table} WHERE {condition}")
    return int(number)


def primary(error: psycopg.Error) -> str:
    return error.diag.message_primary or ""


def hint(error: psycopg.Error) -> str:
    return error.diag.message_hint or ""


def create_table(
    connection: psycopg.Connection,
    name: str = "documents",
    key: str = "bigint",
    embeddings: str = "vector(3)[]",
    more: str = "",
) -> None:
    run(connection, f"CREATE TABLE {name} (id {key} PRIMARY KEY, embeddings {embeddings}{more})")


def insert(connection: psycopg.Connection, documents: Documents, name: str = "documents") -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {name} (id, embeddings) VALUES (%s, %s::text[]::vector[])".encode(),
            [(key, texts(document)) for key, document in documents.items()],
        )


def create_index(
    connection: psycopg.Connection, name: str = "documents", more: str = "", *values: object
) -> None:
    """Create an index with further arguments as SQL; by hnsw where they name no method."""
    if "method =>" not in more:
        more += ", method => 'hnsw'"
    run(connection, f"SELECT colbert.create_index('{name}'{more})", *values)


def search(
    connection: psycopg.Connection,
    query: Matrix,
    more: str = "",
    *values: object,
    name: str = "documents",
) -> list[Row]:
    """Search with further arguments as SQL: search(c, query, ", k => %s", 3)."""
    statement = f"SELECT * FROM colbert.search('{name}', %s::text[]::vector[]{more})"
    return run(connection, statement, texts(query), *values)


def keys(rows: Sequence[Row]) -> list[Any]:
    return [row[0] for row in rows]


def problems(connection: psycopg.Connection, name: str = "documents") -> list[Row]:
    """What check_index finds: (problem, doc_id)."""
    return run(connection, f"SELECT problem, doc_id FROM colbert.check_index('{name}')")


def derived_tables(connection: psycopg.Connection, name: str = "documents") -> list[str]:
    """The tables that an index keeps beside its source."""
    statement = "SELECT unnest(tables)::text FROM colbert._index WHERE source = %s::regclass"
    return keys(run(connection, statement, name))


def fewer(connection: psycopg.Connection) -> None:
    """Let a tenant have a part of the index from 30 documents on."""
    run(
        connection,
        "CREATE OR REPLACE FUNCTION colbert._plaid_few_documents() RETURNS integer"
        " LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 30",
    )


def tokens(connection: psycopg.Connection, name: str = "documents") -> list[Row]:
    """The token table: (doc_id, position)."""
    return run(connection, f"SELECT doc_id, position FROM {name}_embeddings_tokens ORDER BY 1, 2")
