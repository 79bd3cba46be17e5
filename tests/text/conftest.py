"""A table whose texts workers encode, and statements on it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.sql.documents import run

Connection = psycopg.Connection[Any]
VECTOR = '{"[1,0,0]"}'


@pytest.fixture
def texts(connection: Connection) -> Connection:
    """A connection with table documents: 1 to 3 are pending, 4 is encoded, 5 has no text."""
    create(connection)
    return connection


@pytest.fixture
def committed(own_connection: Connection) -> Connection:
    """A connection to a database of the test's own with the same table, committed."""
    create(own_connection)
    own_connection.commit()
    return own_connection


def create(connection: Connection) -> None:
    run(
        connection,
        "CREATE TABLE documents (id bigint PRIMARY KEY, content text, embeddings vector(3)[])",
    )
    run(
        connection,
        "INSERT INTO documents VALUES (1, 'one', NULL), (2, 'two', NULL), (3, 'three', NULL),"
        " (4, 'four', '{\"[0,1,0]\"}'), (5, NULL, NULL)",
    )
    run(
        connection, """SELECT colbert.create_index('documents', options => '{"text": "content"}')"""
    )


def claim(connection: Connection, more: str = "", *values: object) -> list[str]:
    """Claim documents; returns their keys."""
    statement = f"SELECT doc_id FROM colbert.claim_pending('documents'{more})"
    return [row[0] for row in run(connection, statement, *values)]


def store(connection: Connection, doc_id: str, content: str, vectors: str = VECTOR) -> bool:
    statement = "SELECT colbert.store_encoded('documents', %s, %s, %s::vector[])"
    ((stored,),) = run(connection, statement, doc_id, content, vectors)
    return bool(stored)


def fail(connection: Connection, doc_id: str, content: str, error: str = "boom") -> Any:
    ((due,),) = run(
        connection, "SELECT colbert.report_failure('documents', %s, %s, %s)", doc_id, content, error
    )
    return due


def pending(connection: Connection) -> list[Any]:
    """The keys of documents that have a text and no array."""
    rows = run(
        connection,
        "SELECT id FROM documents WHERE embeddings IS NULL AND content IS NOT NULL ORDER BY id",
    )
    return [row[0] for row in rows]


def let_time_pass(connection: Connection, seconds: int = 4000) -> None:
    """As if every attempt had begun, failed and been due so many seconds ago."""
    run(
        connection,
        "UPDATE documents_embeddings_attempts SET claimed_at = claimed_at - %s * interval '1 s',"
        " due_at = due_at - %s * interval '1 s', failed_at = failed_at - %s * interval '1 s'",
        *[seconds] * 3,
    )
