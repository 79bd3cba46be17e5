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
