"""What full text adds to late interaction on SciFact, through the database, with the default model.

    python -m benchmarks.hybrid [--method plaid] [--cache FILE.npz] [--train-queries 809]

Chooses the weight and the constant of the fusion on the train queries, then prints nDCG@10 on the
test queries for late interaction alone, full text alone, and both fused, and before that what
PostgreSQL's own ways of ranking full text find. Encoding takes some minutes: --cache keeps the
documents and the test queries.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from psycopg import sql

from benchmarks.harness import Connection, arguments, circumstances, database
from benchmarks.scifact import SCIFACT, Texts, encoded, ndcg, read, relevance
from colbert_pg.client import Client, HybridHit
from colbert_pg.encoder import Encoder
from colbert_pg.vectors import Matrix

TABLE = "benchmark_hybrid"
WEIGHTS = tuple(n / 10 for n in range(1, 10))
CONSTANTS = (1, 2, 5, 10, 20, 40, 60)

# Documents of any word, or of what websearch_to_tsquery makes of them, ranked as PostgreSQL ranks.
ANY = """(SELECT string_agg(quote_literal(l), ' | ')::tsquery
            FROM unnest(tsvector_to_array(to_tsvector('english', %(words)s))) AS l)"""
WEB = "websearch_to_tsquery('english', %(words)s)"
RANKINGS = {
    "websearch, ts_rank_cd": (WEB, "ts_rank_cd(words, query, 1)"),
    "any word, ts_rank_cd": (ANY, "ts_rank_cd(words, query, 4)"),
    "any word, ts_rank": (ANY, "ts_rank(words, query, 1)"),
}


class Asked(NamedTuple):
    """A query with its judgements."""

    text: str
    vectors: Matrix
    judged: Mapping[str, int]


class Fusion(NamedTuple):
    """The settings that are chosen."""

    text_weight: float
    constant: int

    def score(self, hit: HybridHit) -> float:
        """What colbert.hybrid_search makes of the ranks, with these settings."""
        score = 0.0
        if hit.maxsim_rank is not None:
            score += (1 - self.text_weight) / (self.constant + hit.maxsim_rank)
        if hit.text_rank is not None:
            score += self.text_weight / (self.constant + hit.text_rank)
        return score


DEFAULT, LATE, TEXT = Fusion(0.5, 60), Fusion(0, 60), Fusion(1, 60)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--method", default="plaid")
    parser.add_argument("--cache", type=Path, help="where to keep the encoded texts")
    parser.add_argument("--train-queries", type=int, default=809)
    options = parser.parse_args()
    if not SCIFACT.is_dir():
        sys.exit(f"not measured: no SciFact in {SCIFACT}, set COLBERT_PG_SCIFACT")
    corpus, queries = read("corpus.jsonl"), read("queries.jsonl")
    documents, questions = encoded(corpus.texts, queries.texts, options.cache)
    test = asked(queries, questions, relevance())
    queries = read("queries_train.jsonl")
    queries = Texts(*(part[: options.train_queries] for part in queries))
    train = asked(
        queries, Encoder.default().encode_queries(queries.texts), relevance("qrels_train.tsv")
    )

    with database(options.url) as connection:
        print(circumstances(connection))
        fill(connection, corpus.ids, documents)
        add_texts(connection, corpus)
        Client(connection).create_index(TABLE, method=options.method)
        print(f"{len(documents)} documents, index {options.method}, nDCG@10\n")
        print(f"full text on {len(test)} test queries")
        for name, (query, rank) in RANKINGS.items():
            found, seconds = by_full_text(connection, test, query, rank)
            print_line(name, test, found, seconds)

        ranks = [hybrid(connection, query, DEFAULT, k=200) for query in train]
        best = choose(train, ranks)
        print(f"\nchosen on {len(train)} train queries: {best}")
        for name, fusion in (
            ("late interaction", LATE),
            ("full text", TEXT),
            ("hybrid by default", DEFAULT),
            ("hybrid as chosen", best),
        ):
            gain = quality(train, (fused(hits, fusion) for hits in ranks))
            print(f"  {name:<28} {gain:.4f}")

        print(f"\non {len(test)} test queries, as the database returns them")
        print_line("late interaction", test, *timed(test, lambda q: late(connection, q)))
        for name, fusion in (
            ("full text", TEXT),
            ("hybrid by default", DEFAULT),
            ("hybrid as chosen", best),
        ):
            print_line(
                name,
                test,
                *timed(test, partial(fused_by_the_database, connection, fusion)),
            )


def asked(
    queries: Texts, vectors: Sequence[Matrix], judgements: Mapping[str, Mapping[str, int]]
) -> list[Asked]:
    """The queries that have judgements."""
    rows = zip(queries.ids, queries.texts, vectors, strict=True)
    return [Asked(text, v, judgements[name]) for name, text, v in rows if name in judgements]


def fill(connection: Connection, ids: Sequence[str], documents: Sequence[Matrix]) -> None:
    connection.execute(f"DROP TABLE IF EXISTS {TABLE} CASCADE")
    connection.execute(f"CREATE TABLE {TABLE} (id text PRIMARY KEY, embeddings vector(128)[])")
    connection.execute(f"ALTER TABLE {TABLE} ALTER embeddings SET STORAGE EXTERNAL")
    Client(connection).add(TABLE, keys=ids, embeddings=documents)


def add_texts(connection: Connection, corpus: Texts) -> None:
    """A column words beside the vectors, with the index that PostgreSQL's documentation advises."""
    connection.execute(f"ALTER TABLE {TABLE} ADD words tsvector")
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {TABLE} SET words = to_tsvector('english', %s) WHERE id = %s",
            zip(corpus.texts, corpus.ids, strict=True),
        )
    connection.execute(f"CREATE INDEX ON {TABLE} USING gin (words)")
    connection.execute(f"VACUUM ANALYZE {TABLE}")


def by_full_text(
    connection: Connection, queries: Sequence[Asked], query: str, rank: str
) -> tuple[list[list[str]], list[float]]:
    statement = sql.SQL(
        f"SELECT id FROM {TABLE}, (SELECT {query} AS query) AS q"
        f" WHERE words @@ query ORDER BY {rank} DESC, id LIMIT 10"
    )

    def run(asked: Asked) -> list[str]:
        return [name for (name,) in connection.execute(statement, {"words": asked.text})]

    return timed(queries, run)


def late(connection: Connection, query: Asked) -> list[str]:
    return [hit.doc_id for hit in Client(connection).search(TABLE, query.vectors)]


def fused_by_the_database(connection: Connection, fusion: Fusion, query: Asked) -> list[str]:
    return [hit.doc_id for hit in hybrid(connection, query, fusion)]


def hybrid(connection: Connection, query: Asked, fusion: Fusion, k: int = 10) -> list[HybridHit]:
    return Client(connection).hybrid_search(
        TABLE,
        query.text,
        vectors=query.vectors,
        k=k,
        content="words",
        language="english",
        text_weight=fusion.text_weight,
        constant=fusion.constant,
        candidates=100,
    )


def choose(queries: Sequence[Asked], ranks: Sequence[Sequence[HybridHit]]) -> Fusion:
    """The weight and constant with the highest nDCG@10."""
    return max(
        (Fusion(weight, constant) for constant in CONSTANTS for weight in WEIGHTS),
        key=lambda fusion: quality(queries, (fused(hits, fusion) for hits in ranks)),
    )


def fused(hits: Iterable[HybridHit], fusion: Fusion) -> list[str]:
    return [hit.doc_id for hit in sorted(hits, key=lambda hit: (-fusion.score(hit), hit.doc_id))]


def quality(queries: Sequence[Asked], found: Iterable[Sequence[str]]) -> float:
    pairs = zip(queries, found, strict=True)
    return statistics.mean(ndcg(names, query.judged) for query, names in pairs)


def timed(
    queries: Sequence[Asked], run: Callable[[Asked], list[str]]
) -> tuple[list[list[str]], list[float]]:
    """What each query finds, and seconds of each, after one to warm up."""
    run(queries[0])
    found, seconds = [], []
    for query in queries:
        started = time.perf_counter()
        found.append(run(query))
        seconds.append(time.perf_counter() - started)
    return found, seconds


def print_line(
    name: str, queries: Sequence[Asked], found: Sequence[Sequence[str]], seconds: Sequence[float]
) -> None:
    latency = statistics.median(seconds) * 1e3
    print(f"  {name:<28} {quality(queries, found):.4f}  p50 {latency:6.1f} ms", flush=True)


if __name__ == "__main__":
    main()
