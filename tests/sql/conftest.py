"""Fixtures of the SQL tests; helpers without state are in documents.py."""

from collections.abc import Callable, Iterator

import numpy as np
import psycopg
import pytest

from tests.sql.documents import (
    AB,
    A,
    B,
    C,
    clustered_documents,
    create_index,
    create_table,
    insert,
)


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


@pytest.fixture(scope="module")
def many_template(module_database_installed: str) -> str:
    """Name of a database with 600 documents of twelve tokens, of 16 dimensions, by plaid."""
    documents, _ = clustered_documents(np.random.default_rng(20), 600, 16)
    with psycopg.connect(module_database_installed) as connection:
        create_table(connection, embeddings="vector(16)[]")
        insert(connection, documents)
        create_index(connection, "documents", ", method => 'plaid'")
        return connection.info.dbname


@pytest.fixture
def many_database(new_database: Callable[..., str], many_template: str) -> str:
    """Connection string of a copy of it."""
    return new_database(many_template)


@pytest.fixture
def many(many_database: str) -> Iterator[psycopg.Connection]:
    """A connection to that copy."""
    with psycopg.connect(many_database) as connection:
        yield connection
        connection.rollback()
