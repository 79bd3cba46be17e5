"""Hybrid search by both clients, and token offsets in a column of the user's."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from colbert_pg import AsyncClient, Client, EncoderMissing, HybridHit, ModelMismatch
from tests.client.words import TEXTS, WordEncoder

Connection = psycopg.Connection[Any]


def test_ranks_and_scores_of_both_parts_come_back(client: Client) -> None:
    hits = client.hybrid_search("documents", "cat chased", language="english")
    assert [type(hit) for hit in hits] == [HybridHit] * 4
    best = hits[0]
    assert (best.doc_id, best.maxsim_rank, best.text_rank) == (2, 1, 1)
    assert best.score == pytest.approx(1 / 61)
    exact = {hit.doc_id: hit.score for hit in client.search("documents", "cat chased")}
    assert {hit.doc_id: hit.maxsim_score for hit in hits} == pytest.approx(exact)
    assert [hit.text_rank for hit in hits if hit.doc_id in (3, 4)] == [None, None]


def test_every_argument_reaches_the_database(client: Client) -> None:
    hits = client.hybrid_search(
        "documents",
        "rain -dog",
        k=2,
        content="upper(content)",
        language="simple",
        match="websearch",
        text_weight=1,
        constant=1,
        filter="id >= (params->>'from')::int",
        params={"from": 3},
        candidates=5,
        exact=True,
        embeddings="embeddings",
    )
    assert [(hit.doc_id, hit.score, hit.text_rank) for hit in hits] == [(4, 0.5, 1), (3, 0, None)]


def test_vectors_may_come_with_the_words(client: Client) -> None:
    (vectors,) = WordEncoder().encode_queries(["cat chased"])
    without = Client(client.connection)
    by_vectors = without.hybrid_search("documents", "cat chased", vectors=vectors)
    assert by_vectors == client.hybrid_search("documents", "cat chased")
    with pytest.raises(EncoderMissing):
        without.hybrid_search("documents", "cat chased")
    with_no_words = client.hybrid_search("documents", "", vectors=vectors)
    assert [hit.doc_id for hit in with_no_words] == [
        hit.doc_id for hit in client.search("documents", vectors)
    ]


def test_text_of_another_model_is_refused(client: Client) -> None:
    other = Client(client.connection, WordEncoder(name="other"))
    with pytest.raises(ModelMismatch):
        other.hybrid_search("documents", "cat")


def test_text_keys_come_back_as_they_are(connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE notes (id text PRIMARY KEY, content text, embeddings vector(32)[])"
    )
    client = Client(connection, WordEncoder())
    client.create_index("notes")
    client.add("notes", TEXTS, keys=list("abcd"))
    assert client.hybrid_search("notes", "dog")[0].doc_id == "b"


def test_the_asynchronous_client_finds_the_same(own_client: Client, database: str) -> None:
    own_client.connection.commit()

    async def search() -> list[HybridHit]:
        async with await psycopg.AsyncConnection.connect(database) as connection:
            other = AsyncClient(connection, WordEncoder())
            return await other.hybrid_search("documents", "cat chased")

    assert asyncio.run(search()) == own_client.hybrid_search("documents", "cat chased")


def test_a_document_without_tokens_is_explained_by_its_text_alone(client: Client) -> None:
    client.connection.execute("UPDATE documents SET embeddings = NULL WHERE id = 1")
    explained = client.explain("documents", "cat", 1)
    assert (explained.score, explained.matches, explained.content) == (0, [], TEXTS[0])


# Offsets


def test_offsets_cut_the_word_of_each_vector_out_of_the_text(client: Client) -> None:
    rows = client.connection.execute(
        "SELECT ARRAY(SELECT substr(d.content, lower(o), upper(o) - lower(o))"
        "               FROM unnest(d.offsets) WITH ORDINALITY AS u (o, n) ORDER BY n),"
        "       cardinality(d.offsets) = cardinality(d.embeddings)"
        "  FROM documents d ORDER BY id"
    ).fetchall()
    assert rows == [(text.split(), True) for text in TEXTS]


def test_offsets_need_an_encoder_even_where_vectors_are_given(client: Client) -> None:
    with pytest.raises(EncoderMissing):
        Client(client.connection).add(
            "documents", ["cat"], embeddings=[[[1.0] + [0.0] * 31]], offsets_column="offsets"
        )
