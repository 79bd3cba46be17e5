"""SciFact as the benchmarks take it: texts, judgements, and token vectors of the default model.

5,183 abstracts and 300 test queries as BEIR packs them (``corpus.jsonl``, ``queries.jsonl``,
``qrels.tsv``), read from ``../shared/data/scifact`` or ``$COLBERT_PG_SCIFACT``. Where it is not,
:func:`generated` makes vectors of the same shape.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness import CACHE
from colbert_pg.encoder import Encoder
from colbert_pg.vectors import Matrix

SCIFACT = Path(
    os.environ.get("COLBERT_PG_SCIFACT")
    or Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "scifact"
)
VECTORS = CACHE / "scifact.npz"  # encoding takes some ten minutes; delete it to encode anew
DIMENSIONS = 128


class Texts(NamedTuple):
    """Identifiers and texts, in the order of the file."""

    ids: list[str]
    texts: list[str]


class Collection(NamedTuple):
    """Documents and queries to search them with; a document's key is its position.

    Vectors are float32 (tokens, 128), unit rows rounded to half precision: whatever a method keeps
    them in, all of them see the same. A query's judgements are gains by document. The texts of the
    documents and of the queries are there where full text can search them.
    """

    name: str
    documents: list[Matrix]
    queries: list[Matrix]
    judgements: list[dict[int, int]]
    texts: Sequence[str] = ()
    questions: Sequence[str] = ()

    @property
    def tokens(self) -> int:
        return sum(map(len, self.documents))

    def __str__(self) -> str:
        return (
            f"{self.name}: {len(self.documents):,} documents, {self.tokens:,} tokens of "
            f"{DIMENSIONS} dimensions, {len(self.queries)} queries"
        )


def collection(
    documents: int | None = None, queries: int | None = None, cache: Path | None = None
) -> Collection:
    """SciFact or a part of it; generated, where a part is asked for and SciFact is not there.

    A part has the documents that are judged for its queries, all of them, and then others.
    """
    if not SCIFACT.is_dir():
        if documents is None:
            sys.exit(f"no SciFact in {SCIFACT}: set COLBERT_PG_SCIFACT")
        return generated(documents, queries or 100)
    corpus, questions = read("corpus.jsonl"), read("queries.jsonl")
    judged = relevance()
    vectors, query_vectors = encoded(corpus.texts, questions.texts, cache or VECTORS)
    chosen = questions.ids[:queries]
    wanted = {name for query in chosen for name in judged[query]}
    order = sorted(range(len(corpus.ids)), key=lambda i: corpus.ids[i] not in wanted)
    order = order[: max(documents or len(order), len(wanted))]
    keys = {corpus.ids[i]: key for key, i in enumerate(order)}
    return Collection(
        "SciFact" if len(order) == len(corpus.ids) else "part of SciFact",
        [_rounded(vectors[i]) for i in order],
        [_rounded(vectors) for vectors in query_vectors[: len(chosen)]],
        [{keys[n]: gain for n, gain in judged[q].items()} for q in chosen],
        [corpus.texts[i] for i in order],
        questions.texts[: len(chosen)],
    )


def generated(documents: int, queries: int, seed: int = 0) -> Collection:
    """Documents that mix a few of many topics, and queries about one document each.

    A topic is a point of the sphere, a token one of its topics and noise; a query repeats tokens of
    its document with noise, and that document alone is relevant. In the texts, a token is the name
    of its topic.
    """
    random = np.random.default_rng(seed)
    topics = random.normal(size=(max(32, documents // 4), DIMENSIONS))

    def vectors(around: np.ndarray[Any, Any], noise: float) -> Matrix:
        return _rounded(_unit(around + random.normal(scale=noise, size=around.shape)))

    made, about = [], []
    for _ in range(documents):
        few = random.integers(len(topics), size=4)
        about.append(few[random.integers(4, size=random.integers(60, 420))])
        made.append(vectors(topics[about[-1]], 1.0))
    asked = random.integers(documents, size=queries)
    questions, repeated = [], []
    for document in asked:
        tokens = random.integers(len(made[document]), size=random.integers(12, 34))
        repeated.append(about[document][tokens])
        questions.append(vectors(made[document][tokens], 0.06))
    return Collection(
        "generated vectors",
        made,
        questions,
        [{int(document): 1} for document in asked],
        [_named(tokens) for tokens in about],
        [_named(tokens) for tokens in repeated],
    )


def brute_force(documents: Sequence[Matrix], queries: Sequence[Matrix]) -> Matrix:
    """Exact MaxSim of every document with every query: (documents, queries)."""
    tokens = np.concatenate(queries)
    firsts = np.cumsum([0, *map(len, queries[:-1])])
    scores = np.empty((len(documents), len(queries)), dtype=np.float32)
    for first in range(0, len(documents), 16):
        some = documents[first : first + 16]
        starts = np.cumsum([0, *map(len, some[:-1])])
        best = np.maximum.reduceat(np.concatenate(some) @ tokens.T, starts, axis=0)
        scores[first : first + 16] = np.add.reduceat(best, firsts, axis=1)
    return scores


def _named(topics: np.ndarray[Any, Any]) -> str:
    return " ".join(f"topic{topic}" for topic in topics)


def _unit(vectors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def _rounded(vectors: np.ndarray[Any, Any]) -> Matrix:
    return vectors.astype(np.float16).astype(np.float32)


def read(name: str) -> Texts:
    with (SCIFACT / name).open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    texts = [f"{row.get('title') or ''} {row['text']}".strip() for row in rows]
    return Texts([row["_id"] for row in rows], texts)


def relevance(name: str = "qrels.tsv") -> dict[str, dict[str, int]]:
    """The judged documents of each query; those of the test queries by default."""
    judged: dict[str, dict[str, int]] = {}
    with (SCIFACT / name).open(encoding="utf-8") as lines:
        for query, document, score in csv.reader(lines, delimiter="\t"):
            if score.isdigit():
                judged.setdefault(query, {})[document] = int(score)
    return judged


def encoded(
    documents: Sequence[str], queries: Sequence[str], cache: Path | None
) -> tuple[list[Matrix], list[Matrix]]:
    """One matrix a text: from the cache if it is there, and else into it."""
    if cache is None or not cache.exists():
        encoder = Encoder.default()
        groups = {
            "documents": encoder.encode_documents(documents, progress=True),
            "queries": encoder.encode_queries(queries, progress=True),
        }
        if cache is None:
            return groups["documents"], groups["queries"]
        arrays: dict[str, Any] = {}
        for name, matrices in groups.items():
            arrays[name] = np.concatenate([np.empty((0, DIMENSIONS), np.float32), *matrices])
            arrays[f"{name}_tokens"] = np.array([len(matrix) for matrix in matrices])
        cache.parent.mkdir(parents=True, exist_ok=True)
        unfinished = cache.with_suffix(".new.npz")
        np.savez(unfinished, allow_pickle=False, **arrays)
        unfinished.rename(cache)
    with np.load(cache) as stored:
        both = [
            np.split(stored[name], np.cumsum(stored[f"{name}_tokens"])[:-1])
            for name in ("documents", "queries")
        ]
    return both[0], both[1]


def ndcg(found: Sequence[Any], judged: Mapping[Any, int]) -> float:
    """nDCG@10 with the judgements as gains, as BEIR and trec_eval compute it."""
    ideal = sorted(judged.values(), reverse=True)[:10]
    return gains([judged.get(name, 0) for name in found[:10]]) / gains(ideal)


def gains(values: Sequence[int]) -> float:
    return float(sum(value / np.log2(rank + 2) for rank, value in enumerate(values)))
