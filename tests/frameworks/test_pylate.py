"""The index for PyLate: by itself, and in PyLate's own retriever and evaluation."""

from __future__ import annotations

import json
from pathlib import Path
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


def test_a_collection_in_beirs_format_is_evaluated_by_pylate_and_by_beir(
    connection: Connection, tmp_path: Path
) -> None:
    """Both read the scores of PostgreSQL, and agree with what can be reckoned by hand."""
    pytest.importorskip("ranx")
    evaluation = pytest.importorskip("pylate.evaluation")
    retrieve = pytest.importorskip("pylate.retrieve")
    beir = pytest.importorskip("beir.retrieval.evaluation").EvaluateRetrieval
    make_collection(tmp_path)

    documents, queries, qrels = evaluation.load_custom_dataset(str(tmp_path), split="test")
    assert list(queries) == ["q1", "q2"]
    index = LateInteractionIndex(Client(connection), "beir", dimensions=32)
    index.add_documents(
        [document["id"] for document in documents],
        vectors(*(document["text"] for document in documents)),
    )
    retriever = retrieve.ColBERT(index=index)
    scores = retriever.retrieve(queries_embeddings=vectors(*queries.values()), k=3)
    assert [[hit["id"] for hit in found][:2] for found in scores] == [["d1", "d2"], ["d4", "d3"]]

    measured = evaluation.evaluate(scores, qrels, list(queries), ["ndcg@10", "recall@1", "mrr"])
    # q1 finds its one document first, q2 its one second
    second = 1 / np.log2(3)
    assert measured["ndcg@10"] == pytest.approx((1 + second) / 2, abs=1e-4)
    assert measured["recall@1"] == 0.5
    assert measured["mrr"] == 0.75

    results = {
        query: {hit["id"]: hit["score"] for hit in found}
        for query, found in zip(queries, scores, strict=True)
    }
    ndcg, _, recall, _ = beir.evaluate(qrels, results, k_values=[1, 10])
    assert ndcg["NDCG@10"] == pytest.approx(measured["ndcg@10"], abs=1e-4)
    assert recall["Recall@1"] == measured["recall@1"]


def make_collection(folder: Path) -> None:
    """Four documents, three questions, two of them judged; titles belong to the texts."""
    (folder / "qrels").mkdir()
    lines = {
        "corpus.jsonl": [
            {"_id": "d1", "title": "Cats", "text": "sat on the mat"},
            {"_id": "d2", "title": "", "text": "the mat"},
            {"_id": "d3", "title": "Rain", "text": "on monday"},
            {"_id": "d4", "title": "Rain", "text": "on tuesday"},
        ],
        "queries.jsonl": [
            {"_id": "q0", "text": "not judged"},
            {"_id": "q1", "text": "cats mat"},
            {"_id": "q2", "text": "rain tuesday"},
        ],
    }
    for name, objects in lines.items():
        (folder / name).write_text("".join(json.dumps(o) + "\n" for o in objects), encoding="utf-8")
    judged = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td3\t1\n"
    (folder / "qrels" / "test.tsv").write_text(judged, encoding="utf-8")
