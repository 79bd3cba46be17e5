"""Four indexed documents, and a client of an encoder that knows a vector for every word."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from colbert_pg import Client
from tests.client.words import TEXTS, WordEncoder


@pytest.fixture
def encoder() -> WordEncoder:
    return WordEncoder()


@pytest.fixture
def client(connection: psycopg.Connection[Any], encoder: WordEncoder) -> Client:
    """A client on four indexed documents with the keys 1 to 4, not committed."""
    return _with_documents(connection, encoder)


@pytest.fixture
def own_client(own_connection: psycopg.Connection[Any], encoder: WordEncoder) -> Client:
    """The same in a database of the test's own, not committed."""
    return _with_documents(own_connection, encoder)


def _with_documents(connection: psycopg.Connection[Any], encoder: WordEncoder) -> Client:
    connection.execute(
        "CREATE TABLE documents (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " content text NOT NULL, lang text, offsets int4range[], embeddings vector(32)[])"
    )
    client = Client(connection, encoder)
    client.create_index("documents")
    client.add(
        "documents", TEXTS, columns={"lang": ["en", "en", "de", "de"]}, offsets_column="offsets"
    )
    return client
