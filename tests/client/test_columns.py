"""Columns of the rows that a search finds, beside key and score."""

from __future__ import annotations

import asyncio
import datetime
import pickle
from typing import Any

import numpy as np
import psycopg
import pytest

from colbert_pg import AsyncClient, Client, Hit, HybridHit, ParentHit
from tests.client.words import TEXTS, WordEncoder

Connection = psycopg.Connection[Any]


def test_columns_come_beside_key_and_score_in_the_types_of_psycopg(
    client: Client, connection: Connection
) -> None:
    connection.execute("ALTER TABLE documents ADD day date DEFAULT '2024-05-06', ADD tags text[]")
    connection.execute("UPDATE documents SET tags = ARRAY[lang, 'x']")
    hits = client.search("documents", "cat mat", k=2, columns=["content", "day", "tags"])
    plain = client.search("documents", "cat mat", k=2)
    assert hits == plain
    assert [hit.columns for hit in hits] == [
        {"content": TEXTS[hit.doc_id - 1], "day": datetime.date(2024, 5, 6), "tags": ["en", "x"]}
        for hit in plain
    ]
    key, score = hits[0]
    assert (key, score) == (hits[0].doc_id, hits[0].score)
    assert plain[0].columns == {}


def test_every_search_takes_columns(client: Client) -> None:
    hybrid = client.hybrid_search("documents", "cat mat", k=4, columns=["lang"])
    assert hybrid == client.hybrid_search("documents", "cat mat", k=4)
    assert [hit.columns["lang"] for hit in hybrid] == [
        ["en", "en", "de", "de"][hit.doc_id - 1] for hit in hybrid
    ]
    reranked = client.rerank("documents", "monday", [1, 3, 4], columns=["id", "content"])
    assert [hit.columns["id"] for hit in reranked] == [hit.doc_id for hit in reranked]
    parents = client.search_parents("documents", "monday tuesday", "lang", columns=["content"])
    assert [(p.parent_id, p.columns["content"]) for p in parents[:1]] == [("de", TEXTS[3])]
    assert client.search("documents", " ", columns=["content"]) == []


def test_columns_come_in_the_order_of_the_search_for_all_of_many_ties(
    client: Client, connection: Connection
) -> None:
    connection.execute(
        "INSERT INTO documents (content, embeddings)"
        " SELECT 'again', embeddings FROM documents, generate_series(1, 50) WHERE id = 1"
    )
    connection.execute("SET LOCAL enable_nestloop = off")
    hits = client.search("documents", "cat mat", k=40, columns=["id"])
    assert hits == client.search("documents", "cat mat", k=40)
    assert [hit.columns["id"] for hit in hits] == [hit.doc_id for hit in hits]


@pytest.mark.parametrize("key", ["uuid DEFAULT gen_random_uuid()", "char(5)", "numeric"])
def test_keys_of_any_type_find_their_rows(
    connection: Connection, encoder: WordEncoder, key: str
) -> None:
    connection.execute(
        f'CREATE TABLE "50% of" (k {key} PRIMARY KEY, "sc%ore" text, place int, e vector(32)[])'
    )
    client = Client(connection, encoder)
    client.create_index('"50% of"', "e")
    keys = None if "uuid" in key else [" a", "b"] if "char" in key else [1, 2]
    client.add('"50% of"', ["cat", "dog"], keys=keys, content_column="sc%ore")
    expected = [{"sc%ore": "dog", "place": None}, {"sc%ore": "cat", "place": None}]
    names = ["sc%ore", "place"]
    found = client.search('"50% of"', "dog", k=2, columns=names)
    assert [hit.columns for hit in found] == expected
    both = client.hybrid_search('"50% of"', "dog", k=2, content='"sc%ore"', columns=names)
    assert [hit.columns for hit in both] == expected
    chunks = client.search_parents('"50% of"', "dog", "sc%ore", columns=["k"])
    assert [hit.parent_id for hit in chunks] == ["dog", "cat"]


def test_vectors_are_columns_too(client: Client, encoder: WordEncoder) -> None:
    (hit,) = client.search("documents", "cat mat", k=1, columns=["content", "embeddings"])
    (expected,) = encoder.encode_documents([hit.columns["content"]])
    np.testing.assert_array_equal(hit.columns["embeddings"], expected)


def test_a_column_that_was_added_since_is_found_and_one_that_is_not_there_is_named(
    client: Client, connection: Connection
) -> None:
    client.search("documents", "cat")
    connection.execute("ALTER TABLE documents ADD since int DEFAULT 7")
    assert client.search("documents", "cat", k=1, columns=["since"])[0].columns == {"since": 7}
    with pytest.raises(ValueError, match='has no column "nothing"'):
        client.search("documents", "cat", columns=["nothing"])
    with pytest.raises(TypeError, match="columns takes a list"):
        client.search("documents", "cat", columns="content")


def test_hits_are_tuples_that_keep_their_columns(client: Client) -> None:
    (hit,) = client.search("documents", "cat", k=1, columns=["lang"])
    again = pickle.loads(pickle.dumps(hit))
    assert (again, again.columns) == (hit, {"lang": "en"})
    assert repr(Hit(1, 2.0)) == "Hit(doc_id=1, score=2.0)"
    assert HybridHit(1, 2.0, None, None, 3, 4.0).text_rank == 3
    assert ParentHit(1, 2.0, 3)._fields == ("parent_id", "score", "doc_id")


def test_the_asynchronous_client_has_them_too(database: str, encoder: WordEncoder) -> None:
    async def main() -> None:
        async with await psycopg.AsyncConnection.connect(database) as connection:
            await connection.execute(
                "CREATE TABLE documents (id int PRIMARY KEY, content text, embeddings vector(32)[])"
            )
            client = AsyncClient(connection, encoder)
            await client.create_index("documents")
            await client.add("documents", TEXTS, keys=[1, 2, 3, 4])
            (hit,) = await client.search("documents", "stocks", k=1, columns=["content"])
            assert hit.columns == {"content": TEXTS[2]}

    asyncio.run(main())
