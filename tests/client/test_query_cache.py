"""A query that was encoded before is not encoded again."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import psycopg
import pytest

from colbert_pg import AsyncClient, Client, QueryCache
from colbert_pg.client import ParentHit
from tests.client.words import WordEncoder

Connection = psycopg.Connection[Any]
PARENTS = [1, 1, 2, None]
TEXTS = ["a cat sat", "a dog ran", "a dog sat", "a dog ran and sat"]


@pytest.fixture
def chunks(database: str, encoder: WordEncoder) -> str:
    """Connection string of a database with a table of chunks."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE TABLE chunks (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            " document_id int, content text, embeddings vector(32)[])"
        )
        client = Client(connection, encoder)
        client.create_index("chunks")
        client.add("chunks", TEXTS, columns={"document_id": PARENTS})
    encoder.encoded.clear()
    return database


def test_a_client_encodes_a_query_once(chunks: str, encoder: WordEncoder) -> None:
    with psycopg.connect(chunks) as connection:
        client = Client(connection, encoder)
        first = client.search("chunks", "dog", k=3)
        assert client.search("chunks", "dog", k=3) == first
        client.explain("chunks", "dog", 2)
        client.search("chunks", "cat")
        assert encoder.encoded == ["dog", "cat"]
        assert client.encoder is encoder


def test_clients_share_a_cache_that_is_given_to_them(chunks: str, encoder: WordEncoder) -> None:
    cache = QueryCache(encoder)
    for _ in range(2):
        with psycopg.connect(chunks) as connection:
            Client(connection, cache).search("chunks", "dog")
    assert encoder.encoded == ["dog"]


def test_the_oldest_query_is_forgotten_first_and_none_can_be_changed(
    encoder: WordEncoder,
) -> None:
    cache = QueryCache(encoder, queries=2)
    cache.encode_queries(["a", "b", "a", "c", "a", "b"])
    assert encoder.encoded == ["a", "b", "c", "b"]
    (vectors,) = cache.encode_queries(["a"])
    with pytest.raises(ValueError, match="read-only"):
        vectors[0] = 0
    np.testing.assert_array_equal(vectors, encoder.encode_queries(["a"])[0])
    assert cache.fingerprint == encoder.fingerprint
    assert cache.document_tokens("a b") == encoder.document_tokens("a b")


def test_documents_are_found_by_their_best_chunks(chunks: str, encoder: WordEncoder) -> None:
    with psycopg.connect(chunks) as connection:
        client = Client(connection, encoder)
        found = client.search_parents("chunks", "dog ran", "document_id")
        assert [(hit.parent_id, hit.doc_id) for hit in found] == [(1, 2), (2, 3)]
        assert found[0].score == pytest.approx(2)
        assert isinstance(found[0], ParentHit)
        filtered = client.search_parents("chunks", "dog ran", "document_id", k=1, filter="id <> 2")
        assert [(hit.parent_id, hit.doc_id) for hit in filtered] == [(2, 3)]
        (by_text,) = client.search_parents("chunks", "cat", "content", k=1)
        assert by_text[::2] == ("a cat sat", "1")  # of other types, chunks' keys come as text
        with pytest.raises(ValueError, match='no column "parent"'):
            client.search_parents("chunks", "dog", "parent")


async def _found(conninfo: str, encoder: WordEncoder) -> list[ParentHit]:
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        return await AsyncClient(connection, encoder).search_parents(
            "chunks", "dog ran", "document_id", k=1
        )


def test_the_async_client_finds_the_same(chunks: str, encoder: WordEncoder) -> None:
    (hit,) = asyncio.run(_found(chunks, encoder))
    assert (hit.parent_id, hit.doc_id) == (1, 2)
