"""The retrievers for LangChain and Haystack, in a chain and in a pipeline."""

from __future__ import annotations

import os
import uuid
from typing import Any

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"  # read when it is imported

import psycopg
import pytest
from haystack import Pipeline
from haystack.components.joiners import DocumentJoiner
from langchain_core.runnables import RunnableLambda

from colbert_pg import Client
from colbert_pg.haystack import LateInteractionRetriever as HaystackRetriever
from colbert_pg.langchain import LateInteractionRetriever as LangChainRetriever
from tests.client.words import WordEncoder

KEYS = [uuid.UUID(int=i) for i in range(4)]
TEXTS = ["a cat sat on the mat", "the dog chased the cat", "stocks fell", "rain on monday"]
SOURCE = '"My docs"'


@pytest.fixture
def client(connection: psycopg.Connection) -> Client:
    """A client on a table with uuids, two columns of vectors and names to be quoted."""
    connection.execute(
        'CREATE TABLE "My docs" (id uuid PRIMARY KEY, "the text" text, lang text,'
        " embeddings vector(32)[], others vector(32)[])"
    )
    client = Client(connection, WordEncoder())
    client.create_index(SOURCE)
    client.create_index(SOURCE, "others")
    client.add(
        SOURCE,
        TEXTS,
        keys=KEYS,
        columns={"lang": ["en", "de", "en", "de"]},
        content_column="the text",
        embeddings_column="embeddings",
    )
    return client


def test_langchain_gets_documents_best_first_in_a_chain(client: Client) -> None:
    retriever = LangChainRetriever(
        client=client,
        source=SOURCE,
        content="the text",
        metadata_columns=["lang"],
        k=2,
        filter="lang = params->>'lang'",
        params={"lang": "de"},
        embeddings="embeddings",
    )
    chain = retriever | RunnableLambda(lambda documents: documents)
    first, second = chain.invoke("cat")
    assert (first.page_content, first.id) == (TEXTS[1], str(KEYS[1]))
    assert first.metadata == {"lang": "de", "score": pytest.approx(1, abs=1e-5)}
    assert second.page_content == TEXTS[3]
    hits = client.search(SOURCE, "cat", k=4, embeddings="embeddings", exact=True)
    everything = retriever.model_copy(update={"k": 4, "filter": None, "params": None})
    assert [d.id for d in everything.invoke("cat")] == [str(hit.doc_id) for hit in hits]


def test_haystack_gets_documents_best_first_in_a_pipeline(client: Client) -> None:
    pipeline = Pipeline()
    retriever = HaystackRetriever(
        client,
        SOURCE,
        content="the text",
        meta_columns=["lang"],
        embeddings="embeddings",
    )
    pipeline.add_component("retriever", retriever)
    pipeline.add_component("joiner", DocumentJoiner())
    pipeline.connect("retriever.documents", "joiner.documents")

    asked = {"query": "cat", "top_k": 1, "filter": "lang = params->>'l'", "params": {"l": "de"}}
    (document,) = pipeline.run({"retriever": asked})["joiner"]["documents"]
    assert (document.id, document.content, document.meta) == (
        str(KEYS[1]),
        TEXTS[1],
        {"lang": "de"},
    )
    assert document.score == pytest.approx(1, abs=1e-5)
    assert len(retriever.run("cat")["documents"]) == 4


def test_haystack_takes_params_for_the_filter_of_the_component(client: Client) -> None:
    retriever = HaystackRetriever(
        client,
        SOURCE,
        content="the text",
        embeddings="embeddings",
        filter="lang = params->>'l'",
        params={"l": "en"},
    )

    def found(**asked: Any) -> set[str | None]:
        return {document.id for document in retriever.run("cat", **asked)["documents"]}

    assert found() == {str(KEYS[0]), str(KEYS[2])}
    assert found(params={"l": "de"}) == {str(KEYS[1]), str(KEYS[3])}
    assert found(filter="lang = 'de'") == {str(KEYS[1]), str(KEYS[3])}
