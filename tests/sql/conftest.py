"""Fixtures of the SQL tests; helpers without state are in documents.py."""

import psycopg
import pytest

from tests.sql.documents import AB, A, B, C, create_index, create_table, insert


@pytest.fixture
def documents(connection: psycopg.Connection) -> psycopg.Connection:
    """A connection with table documents: 1 = A and B, 2 = B, 3 = C, 4 empty, 5 NULL; hnsw."""
    return _with_documents(connection)


@pytest.fixture
def own_documents(own_connection: psycopg.Connection) -> psycopg.Connection:
    """The same in a database of the test's own, not committed."""
    return _with_documents(own_connection)


def _with_documents(connection: psycopg.Connection) -> psycopg.Connection:
    create_table(connection, more=", lang text DEFAULT 'en'")
    insert(connection, {1: AB, 2: B, 3: C, 4: A[:0]})
    connection.execute("INSERT INTO documents VALUES (5, NULL)")
    create_index(connection)
    return connection
