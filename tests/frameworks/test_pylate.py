"""The index for PyLate: by itself, and in PyLate's own retriever and evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
import pytest

from colbert_pg import Client
from colbert_pg.pylate import LateInteractionIndex
from colbert_pg.vectors import Matrix
from tests.client.words import TEXTS, WordEncoder
from tests.client.words import maxsim as expected_score

Connection = psycopg.Connection[Any]
IDS = ["a", "b", "c'", "d"]


def vectors(*texts: str) -> list[Matrix]:
    return WordEncoder().encode_queries(list(texts))


@pytest.fixture
def index(connection: Connection) -> LateInteractionIndex:
    index = LateInteractionIndex(Client(connection), "collection", dimensions=32, half=False)
    return index.add_documents(IDS, vectors(*TEXTS))


def test_a_table_is_created_filled_and_searched(index: LateInteractionIndex) -> None:
    queries = vectors("cat mat", "monday")
    for query, found in zip(queries, index(queries, k=4), strict=True):
        scores = {i: expected_score(query, v) for i, v in zip(IDS, vectors(*TEXTS), strict=True)}
        assert [hit["id"] for hit in found] == sorted(IDS, key=lambda i: -scores[i])
        assert [hit["score"] for hit in found] == pytest.approx(
            [scores[hit["id"]] for hit in found], abs=1e-5
        )
    assert index.client.check_index("collection") == []


def test_documents_that_are_there_are_replaced_and_removed_ones_are_gone(
    index: LateInteractionIndex,
) -> None:
    new = vectors("a giraffe", "an elephant")
    index.add_documents(["b", "e"], new, batch_size=1)
    (found,) = index(vectors("giraffe"), k=1)
    assert [hit["id"] for hit in found] == ["b"]
    assert len(index(vectors("cat"), k=9)[0]) == 5
    index.remove_documents(["b", "c'", "not there"])
    assert {hit["id"] for hit in index(vectors("giraffe"), k=9)[0]} == {"a", "d", "e"}
    index.remove_documents("a").add_documents("f", vectors("one"))
    assert {hit["id"] for hit in index(vectors("giraffe"), k=9)[0]} == {"d", "e", "f"}
    (stored,) = index.get_documents_embeddings([["e", "nothing"]])
    np.testing.assert_array_equal(stored[0], new[1])
    assert stored[1] is None


def test_a_subset_limits_the_search(index: LateInteractionIndex) -> None:
    queries = vectors("cat", "cat")
    assert [[hit["id"] for hit in found] for found in index(queries, subset=["d", "b", "x"])] == [
        ["b", "d"]
    ] * 2
    assert [
        [hit["id"] for hit in found] for found in index(queries, k=1, subset=[["a", "d"], ["d"]])
    ] == [["a"], ["d"]]
    assert index(queries, subset=[]) == [[], []]


def test_rows_that_fill_a_batch_up_count_for_nothing(index: LateInteractionIndex) -> None:
    (query,) = vectors("cat mat")
    padded = np.concatenate([query, np.zeros((3, 32), dtype=np.float32)])
    assert index(padded[None], k=2) == index([query], k=2) == index(query, k=2)
    assert index(np.zeros((1, 2, 32))) == [[]]


@pytest.mark.parametrize("key", ["bigint", "uuid", "text"])
def test_a_table_that_is_there_serves_with_its_own_key(connection: Connection, key: str) -> None:
    connection.execute(
        f"CREATE TABLE papers (k {key} PRIMARY KEY, title text, e halfvec(32)[])".encode()
    )
    client = Client(connection)
    client.create_index("papers", "e")
    ids = [f"{i:08}-0000-0000-0000-000000000000" if key == "uuid" else str(i) for i in range(4)]
    connection.execute(f"INSERT INTO papers VALUES ('{ids[0]}', 'kept')".encode())
    index = LateInteractionIndex(client, "papers").add_documents(ids, vectors(*TEXTS))
    (found,) = index(vectors("rain tuesday"), k=1)
    assert [hit["id"] for hit in found] == [ids[3]]
    assert connection.execute("SELECT title FROM papers WHERE title IS NOT NULL").fetchall() == [
        ("kept",)
    ]
    index.remove_documents(ids[:2])
    assert [hit["id"] for hit in index(vectors("rain"), k=9, subset=ids)[0]] == [ids[3], ids[2]]


def test_override_begins_anew(index: LateInteractionIndex) -> None:
    client = index.client
    again = LateInteractionIndex(client, "collection", dimensions=32)
    assert len(again(vectors("cat"), k=9)[0]) == 4
    anew = LateInteractionIndex(client, "collection", dimensions=16, method="hnsw", override=True)
    assert anew(WordEncoder(16).encode_queries(["cat"])) == [[]]
    assert [i["method"] for i in client.indexes() if i["source"] == "collection"] == ["hnsw"]


def test_ids_and_vectors_of_different_numbers_are_refused(index: LateInteractionIndex) -> None:
    with pytest.raises(ValueError, match="2 ids and the vectors of 1"):
        index.add_documents(["x", "y"], vectors("one"))


def test_tensors_of_any_precision_are_taken(index: LateInteractionIndex) -> None:
    torch = pytest.importorskip("torch")
    queries = torch.stack([torch.tensor(v) for v in vectors("cat mat", "dog cat")])
    by_array = [[hit["id"] for hit in found] for found in index(vectors("cat mat", "dog cat"))]
    for tensor in (queries, queries.bfloat16(), list(queries.half())):
        assert [[hit["id"] for hit in found] for found in index(tensor)] == by_array
    index.add_documents(["t"], [torch.tensor(vectors("tensor")[0])])
    assert index(vectors("tensor"), k=1)[0][0]["id"] == "t"


# The real package. It pins another sentence-transformers than ours, so that it is not always there.


def test_it_has_all_that_pylate_asks_of_an_index() -> None:
    base = pytest.importorskip("pylate.indexes.base").Base
    asked = {name for name in vars(base) if not name.startswith("_")} | {"__call__"}
    assert asked == {
        "is_end_to_end_index",
        "add_documents",
        "remove_documents",
        "get_documents_embeddings",
        "__call__",
    }
    assert all(hasattr(LateInteractionIndex, name) for name in asked)


def test_pylate_retrieves_and_evaluates_on_postgresql(index: LateInteractionIndex) -> None:
    retrieve = pytest.importorskip("pylate.retrieve")
    rank = pytest.importorskip("pylate.rank")
    torch = pytest.importorskip("torch")
    retriever = retrieve.ColBERT(index=index)
    questions = {"q1": "cat mat", "q2": "tuesday"}
    embeddings = [torch.tensor(v) for v in vectors(*questions.values())]
    scores = retriever.retrieve(queries_embeddings=embeddings, k=3)
    assert [found[0]["id"] for found in scores] == ["a", "d"]
    assert len(retriever.retrieve(queries_embeddings=embeddings[0], k=2)) == 1
    (subset,) = retriever.retrieve(queries_embeddings=embeddings[:1], k=3, subset=["b", "c'"])
    assert [hit["id"] for hit in subset] == ["b", "c'"]

    ids = [[hit["id"] for hit in found] for found in scores]
    reranked = rank.rerank(
        documents_ids=ids,
        queries_embeddings=embeddings,
        documents_embeddings=index.get_documents_embeddings(ids),
    )
    for ours, theirs in zip(scores, reranked, strict=True):
        assert [hit["id"] for hit in theirs] == [hit["id"] for hit in ours]
        assert [hit["score"] for hit in theirs] == pytest.approx(
            [hit["score"] for hit in ours], abs=1e-4
        )

    pytest.importorskip("ranx")
    evaluation = pytest.importorskip("pylate.evaluation")
    measured = evaluation.evaluate(
        scores=scores,
        qrels={"q1": {"a": 1}, "q2": {"b": 1, "d": 1}},
        queries=list(questions),
        metrics=["ndcg@10", "hits@1"],
    )
    assert measured["hits@1"] == 1
    assert 0.5 < measured["ndcg@10"] <= 1
