"""A text of several columns, in a column that a trigger of the user's fills."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from colbert_pg import Client, Worker
from tests.client.words import WordEncoder
from tests.sql.documents import run
from tests.text.papers import ONE_VECTOR, make_papers

Connection = psycopg.Connection[Any]
ROW = "INSERT INTO papers (title, body) VALUES ('Bread', 'flour and water')"


@pytest.fixture
def papers(own_connection: Connection) -> Connection:
    """A connection in autocommit mode; the table has one paper, whose text is encoded."""
    own_connection.autocommit = True
    make_papers(own_connection)
    run(own_connection, ROW)
    assert encode(own_connection) == ["Bread\nflour and water"]
    return own_connection


def encode(connection: Connection) -> list[str]:
    """Let a worker encode what is pending; returns the texts that it read."""
    encoder = Reading()
    Worker(connection, encoder, maintain=False).drain()
    return encoder.read


class Reading(WordEncoder):
    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def encode_documents(self, texts: Any, *, progress: bool = False) -> Any:
        self.read += texts
        return super().encode_documents(texts)


def is_pending(connection: Connection) -> bool:
    ((pending,),) = run(connection, "SELECT embeddings IS NULL FROM papers")
    return bool(pending)


@pytest.mark.parametrize("trigger", ["papers_whole", '"!first"', "zz_last"])
def test_a_column_of_the_text_that_changes_makes_the_document_pending_whatever_the_triggers_name(
    papers: Connection, trigger: str
) -> None:
    run(papers, f"ALTER TRIGGER papers_whole ON papers RENAME TO {trigger}")
    run(papers, "UPDATE papers SET title = 'Rye bread'")
    assert is_pending(papers)
    assert encode(papers) == ["Rye bread\nflour and water"]
    run(papers, "UPDATE papers SET body = NULL")
    assert encode(papers) == ["Rye bread"]


@pytest.mark.parametrize("change", ["title = 'Bread'", "shelf = 7", "whole = 'written by hand'"])
def test_what_leaves_the_text_as_it_is_leaves_the_array(papers: Connection, change: str) -> None:
    run(papers, f"UPDATE papers SET {change}")
    assert not is_pending(papers)
    assert run(papers, "SELECT whole FROM papers") == [("Bread\nflour and water",)]


def test_a_column_that_changes_while_a_worker_encodes_makes_its_vectors_out_of_date(
    papers: Connection,
) -> None:
    run(papers, "UPDATE papers SET title = 'Rye bread'")
    claim = "SELECT doc_id, content FROM colbert.claim_pending('papers')"
    ((doc_id, content),) = run(papers, claim)
    run(papers, "UPDATE papers SET body = 'rye and water'")
    store = "SELECT colbert.store_encoded('papers', %s, %s, %s::vector[])"
    assert run(papers, store, doc_id, content, ONE_VECTOR) == [(False,)]
    assert encode(papers) == ["Rye bread\nrye and water"]


def test_a_failure_is_forgotten_when_a_column_of_the_text_changes(papers: Connection) -> None:
    run(papers, "UPDATE papers SET title = 'Rye bread'")
    ((doc_id, content),) = run(papers, "SELECT * FROM colbert.claim_pending('papers')")
    run(papers, "SELECT colbert.report_failure('papers', %s, %s, 'boom')", doc_id, content)
    assert encode(papers) == []
    assert run(papers, "SELECT error FROM colbert.failures") == [("boom",)]
    run(papers, "UPDATE papers SET title = 'Oat bread'")
    assert run(papers, "SELECT error FROM colbert.failures") == []
    assert encode(papers) == ["Oat bread\nflour and water"]


def test_hybrid_search_finds_the_words_of_every_column_as_they_are_now(papers: Connection) -> None:
    client = Client(papers, WordEncoder())
    run(papers, "INSERT INTO papers (title, body) VALUES ('Boats', 'nets and sails')")
    encode(papers)

    def found(words: str) -> list[Any]:
        hits = client.hybrid_search("papers", words, content="whole", language="simple", k=1)
        return [(hit.doc_id, hit.text_rank) for hit in hits]

    assert found("bread") == found("flour") == [(1, 1)]
    assert found("sails") == [(2, 1)]
    run(papers, "UPDATE papers SET title = 'Ships' WHERE id = 2")
    encode(papers)
    assert found("ships") == [(2, 1)]


@pytest.mark.parametrize(("title", "pending"), [("Bread", False), ("Rolls", True)])
def test_a_row_that_is_written_on_conflict_is_pending_only_if_its_text_changes(
    papers: Connection, title: str, pending: bool
) -> None:
    run(
        papers,
        "INSERT INTO papers (id, title, body) VALUES (1, %s, 'flour and water')"
        " ON CONFLICT (id) DO UPDATE SET title = excluded.title, body = excluded.body",
        title,
    )
    assert is_pending(papers) is pending


def test_upsert_writes_vectors_beside_the_text(papers: Connection) -> None:
    run(papers, "SELECT colbert.upsert('papers', 1, %s::vector[])", ONE_VECTOR)
    assert run(papers, "SELECT cardinality(embeddings), whole FROM papers") == [
        (1, "Bread\nflour and water")
    ]
    assert encode(papers) == []


def test_a_client_adds_the_columns_and_leaves_the_text_to_the_trigger(papers: Connection) -> None:
    client = Client(papers, WordEncoder())
    assert client.add("papers", columns={"title": ["Boats"], "body": ["nets"]}) == 1
    assert encode(papers) == ["Boats\nnets"]
    (hit,) = client.search("papers", "nets", k=1, columns=["whole"])
    assert hit.columns == {"whole": "Boats\nnets"}
