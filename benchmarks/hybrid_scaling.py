"""How the text part of hybrid search grows with the table.

    python -m benchmarks.hybrid_scaling [--sizes 5183 300000 1000000] [--queries 100] [--truth 20]

The queries are SciFact's test claims, of some ten words. The documents are SciFact's, and more made
of them: a new document takes the lexemes of a real one, in order, and puts for 30 % of them one
that is drawn from all of the collection. So frequent words stay as frequent and rare ones as rare,
and a document keeps a topic. A collection that grows also has ever more words: a lexeme of at most
three real documents becomes one of sqrt(growth) variants. Vectors do not matter here and are tiny.

Reading all documents that hold any of the words, as `exact => true` does, gives the truth, for the
first --truth queries. Filters have no index of their own.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.harness import Connection, arguments, circumstances, database, table
from benchmarks.scifact import read
from colbert_pg.client import Client

TABLE = "benchmark_hybrid_scaling"
KEPT = 0.7  # of the lexemes of the document that is a new one's model
RARE = 3  # documents, of SciFact's, that a lexeme is in which gets variants
WANTED = 100  # documents, as hybrid search asks for by default
FILTERS = {
    "": None,
    "50 % match": "id % 2 = 0",
    "1 % match": "id % 100 = 0",
    "0.1 % match": "id % 1000 = 0",
}

Found = list[tuple[int, float]]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5183, 300_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--truth", type=int, default=20, help="queries whose truth is looked for")
    options = parser.parse_args()
    queries = read("queries.jsonl").texts[: options.queries]
    header = ["documents", "text part", "p50 ms", "p95 ms", "max ms", "best 10", "best 100"]
    rows: list[list[str]] = []
    with database(options.url) as connection:
        print(circumstances(connection))
        connection.execute("SET max_parallel_workers_per_gather = 0")
        for size in options.sizes:
            fill(connection, size)
            rows += measured(connection, size, queries, options.truth)
            connection.execute(f"DROP TABLE {TABLE} CASCADE")
        print(f"{len(queries)} queries, the truth of {options.truth}\n")
        print(table(header, rows))


def measured(
    connection: Connection, size: int, queries: Sequence[str], truth: int
) -> Iterator[list[str]]:
    for label, condition in FILTERS.items():
        if condition is not None and size < 100_000:
            continue
        exact, slow = timed(connection, queries[:truth], condition, exact=True)
        print(f"  {size}, {label or 'whole'}: {times(slow)}", file=sys.stderr)
        found, fast = timed(connection, queries, condition, exact=False)
        shares = [
            f"{statistics.mean(map(share, exact, found[:truth], [k] * truth)):.3f}"
            for k in (10, WANTED)
        ]
        yield [f"{size:,}", f"by default, {label}".rstrip(", "), *times(fast), *shares]
        yield [f"{size:,}", f"of all that match, {label}".rstrip(", "), *times(slow), "1", "1"]


def timed(
    connection: Connection, queries: Sequence[str], condition: str | None, *, exact: bool
) -> tuple[list[Found], list[float]]:
    """What each query finds, and seconds of each, after one to warm up."""

    def run(words: str) -> Found:
        return connection.execute(
            "SELECT t.doc_id, t.score FROM colbert._text_part("
            " colbert._find_index(%(table)s), %(words)s, NULL::int, 'words', 'english', 'any',"
            " %(condition)s, NULL, 'public', %(wanted)s, %(exact)s) AS t",
            {
                "table": TABLE,
                "words": words,
                "condition": condition,
                "wanted": WANTED,
                "exact": exact,
            },
        ).fetchall()

    run(queries[0])
    found, seconds = [], []
    for words in queries:
        started = time.perf_counter()
        found.append(run(words))
        seconds.append(time.perf_counter() - started)
    return found, seconds


def share(exact: Found, found: Found, k: int) -> float:
    """The share of the true best k that is among the k found."""
    if not exact:
        return 1.0
    best = {key for key, _ in exact[:k]}
    return len(best & {key for key, _ in found[:k]}) / len(best)


def times(seconds: Sequence[float]) -> list[str]:
    ordered = sorted(seconds)
    picked = (statistics.median(ordered), ordered[int(0.95 * (len(ordered) - 1))], ordered[-1])
    return [f"{value * 1e3:.0f}" for value in picked]


def fill(connection: Connection, size: int) -> None:
    """A table of so many documents, with GIN's index on the words and a late-interaction index."""
    connection.execute(f"DROP TABLE IF EXISTS {TABLE} CASCADE")
    connection.execute(
        f"CREATE TABLE {TABLE} (id int PRIMARY KEY, words tsvector, embeddings vector(3)[])"
    )
    real = [lexemes(connection, text) for text in read("corpus.jsonl").texts]
    with connection.cursor() as cursor, cursor.copy(f"COPY {TABLE} FROM STDIN") as copy:
        for key, words in enumerate(grown(real, size)):
            copy.write_row((key, words, '{"[1,0,0]"}'))
    connection.execute(f"CREATE INDEX ON {TABLE} USING gin (words)")
    connection.execute(f"VACUUM ANALYZE {TABLE}")
    Client(connection).create_index(TABLE, method="exact")


def grown(documents: Sequence[Sequence[str]], size: int, seed: int = 0) -> Iterator[str]:
    """The documents as PostgreSQL writes a tsvector: the real ones first, then new ones."""
    holders = Counter(lexeme for document in documents for lexeme in set(document))
    everything = np.array([lexeme for document in documents for lexeme in document], dtype=object)
    models = [np.array(document, dtype=object) for document in documents]
    random = np.random.default_rng(seed)
    variants = max(1, round((size / len(documents)) ** 0.5))
    for document in documents[:size]:
        yield written(document)
    for _ in range(size - len(documents)):
        model = models[random.integers(len(models))]
        drawn = everything[random.integers(len(everything), size=len(model))]
        kept = random.random(len(model)) < KEPT
        yield written(
            [
                f"{lexeme}~{random.integers(variants)}" if holders[lexeme] <= RARE else lexeme
                for lexeme in np.where(kept, model, drawn)
            ]
        )


def lexemes(connection: Connection, text: str) -> list[str]:
    """The lexemes of a text in their order, each as often as it is there."""
    rows = connection.execute(
        "SELECT t.lexeme FROM unnest(to_tsvector('english', %s)) AS t, unnest(t.positions) AS p"
        " ORDER BY p, 1",
        (text,),
    )
    return [lexeme for (lexeme,) in rows]


def written(document: Sequence[str]) -> str:
    places: dict[str, list[str]] = defaultdict(list)
    for place, lexeme in enumerate(document, start=1):
        places[lexeme].append(str(place))
    return " ".join(f"{_quoted(lexeme)}:{','.join(at)}" for lexeme, at in places.items())


def _quoted(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"


if __name__ == "__main__":
    main()
