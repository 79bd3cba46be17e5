"""What a search for pages costs, and what a first stage saves: python -m benchmarks.pages

Pages are made, not encoded: 32 x 32 patches and 6 tokens of the prompt, 1,030 vectors of 128, as
ColPali has them; a query has 20 tokens. How they are made stands at `Pages`. What the first lines
of the result say of them is to be compared with what transformers' own test expects of ColPali's
trained checkpoint (tests/models/colpali/test_modeling_colpali.py, vidore/colpali-v1.2-hf on
hf-internal-testing/document-visual-retrieval-test): three queries score their own pages 15.6 to
21.0, and the other pages .42 to .93 of that, .68 in the mean. Three unrelated pages are easy. So
fifty pages in a row are of one report here, and they are as hard to tell apart as that.

One table has four columns: all vectors, the means of squares of four patches (pooled), the means of
rows (bands), and the signs of all vectors (bits). At each size every way of searching answers the
same queries in one process. Exact search, bits and the max_sim function of pgvector's examples
answer the first ones only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

import numpy as np

from benchmarks.contenders import MAX_SIM
from benchmarks.harness import (
    Connection,
    arguments,
    circumstances,
    running,
    setting,
    table,
    timed,
)
from benchmarks.measuring import share_found
from benchmarks.scifact import brute_force
from colbert_pg.client import Client
from colbert_pg.options import Method
from colbert_pg.vectors import HalfTokenArray, Matrix, TokenArray

RESULT = Path(__file__).resolve().parent / "results" / "pages.txt"
TABLE = "benchmark_pages"
DIMENSIONS = 128
SIDE = 32  # patches
PROMPT = 6  # tokens
QUERY = 20  # tokens
REPORT = 50  # pages
CHUNK = 100  # pages that are made and loaded at a time
SHARED, TOPIC, QUERY_NOISE = 1.0, 1.2, 1.4  # chosen for the spread of scores
EFFORTS = ((None, None), (1, 3), (2, 4))
HEADER = ["pages", "what", "effort, margin", "ms", "recall@10", "scored", "index, built in"]

SETUP = f"""
DROP TABLE IF EXISTS {TABLE} CASCADE;
DROP FUNCTION IF EXISTS benchmark_max_sim(vector[], vector[]);
CREATE TABLE {TABLE} (
  id integer PRIMARY KEY,
  embeddings halfvec({DIMENSIONS})[],
  pooled halfvec({DIMENSIONS})[],
  bands halfvec({DIMENSIONS})[],
  bits bit({DIMENSIONS})[] GENERATED ALWAYS AS (colbert.binary_quantize(embeddings)) STORED
);
ALTER TABLE {TABLE}
  ALTER embeddings SET STORAGE EXTERNAL, ALTER pooled SET STORAGE EXTERNAL,
  ALTER bands SET STORAGE EXTERNAL, ALTER bits SET STORAGE EXTERNAL;
"""


class Page(NamedTuple):
    """The vectors of a page, and a query for it."""

    vectors: Matrix
    query: Matrix


def unit(matrix: np.ndarray) -> Matrix:
    """Unit rows, as halfvec keeps them."""
    normal = matrix / np.linalg.norm(matrix, axis=-1, keepdims=True)
    rounded: Matrix = normal.astype(np.float16).astype(np.float32)
    return rounded


class Pages:
    """Pages without end, the same ones every time, a report at a time.

    All vectors share a direction, as those of such models do. A report has topics. A page is cut
    into 8 x 8 regions; on one page few of them are blank, on another most. A region shows four of
    8,000 things, as often as words come (Zipf) or favourites of the report's topics, and each of
    its 16 patches one of them. A patch's vector is that of its thing, moved by the topics, by its
    region and at random. Half of a query's tokens name things that the page shows, in another
    context, and half are about the topics, as the tokens are that such models append to a query.
    """

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.things, self.topics = _directions(random, 8000), _directions(random, 500)
        self.blank, self.prompt = _directions(random, 1), _directions(random, PROMPT)
        self.shared = SHARED * _directions(random, 1)
        frequency = 1 / np.arange(10, len(self.things) + 10)
        self.frequency = frequency / frequency.sum()
        self.favourites = random.integers(len(self.things), size=(len(self.topics), 80))

    def report(self, number: int) -> list[Page]:
        random = np.random.default_rng([1, number])
        about = random.choice(len(self.topics), size=3, replace=False)
        context = TOPIC * self.topics[about].mean(axis=0) + self.shared
        own = self.favourites[about].ravel()
        return [self._page(random, context, own) for _ in range(REPORT)]

    def _page(self, random: np.random.Generator, context: np.ndarray, own: np.ndarray) -> Page:
        common = random.choice(len(self.things), size=(64, 4), p=self.frequency)
        shown = np.where(random.random((64, 4)) < 0.5, common, random.choice(own, (64, 4)))
        regions = 0.35 * _directions(random, 64)
        base = self.things[shown] + regions[:, None, :]
        blanks = random.random(64) < random.uniform(0.1, 0.9)
        blanks[random.integers(64)] = False
        base[blanks] = (self.blank + regions[blanks])[:, None, :]
        patches = base[np.arange(64)[:, None], random.integers(4, size=(64, 16))]
        # 8 x 8 regions of 4 x 4 patches, as a grid of 32 x 32
        grid = patches.reshape(8, 8, 4, 4, DIMENSIONS).swapaxes(1, 2).reshape(-1, DIMENSIONS)
        vectors = np.concatenate(
            [grid + context + 0.5 * _noise(random, len(grid)), self.prompt + context]
        )
        asked = self.things[random.choice(shown[~blanks].ravel(), size=QUERY)]
        asked[QUERY // 2 :] *= 0.4
        return Page(unit(vectors), unit(asked + context + QUERY_NOISE * _noise(random, QUERY)))


def _directions(random: np.random.Generator, count: int) -> np.ndarray:
    drawn = random.normal(size=(count, DIMENSIONS))
    directions: np.ndarray = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return directions


def _noise(random: np.random.Generator, count: int) -> np.ndarray:
    noise: np.ndarray = random.normal(size=(count, DIMENSIONS)) / np.sqrt(DIMENSIONS)
    return noise


def pooled(vectors: Matrix) -> Matrix:
    """The means of squares of four patches, and the prompt."""
    grid = vectors[:-PROMPT].reshape(SIDE // 2, 2, SIDE // 2, 2, DIMENSIONS)
    squares = grid.mean(axis=(1, 3)).reshape(-1, DIMENSIONS)
    return unit(np.concatenate([squares, vectors[-PROMPT:]]))


def bands(vectors: Matrix) -> Matrix:
    """The means of rows of patches, and the prompt."""
    rows = vectors[:-PROMPT].reshape(SIDE, SIDE, DIMENSIONS).mean(axis=1)
    return unit(np.concatenate([rows, vectors[-PROMPT:]]))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--exact-queries", type=int, default=3)
    parser.add_argument("--example-queries", type=int, default=1)
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    lines: list[str] = []
    rows: list[list[str]] = []
    with running(options.url) as server, server.connect() as connection:
        lines.append(circumstances(connection))
        setting(connection, "max_parallel_workers_per_gather", 0)
        setting(connection, "maintenance_work_mem", "512MB")
        for size in options.sizes:
            connection.execute(SETUP)
            connection.execute(MAX_SIM)
            scores, queries, said = loaded(connection, size, options.queries)
            lines += said
            print("\n".join(said), flush=True)
            for row in measured(
                connection, scores, queries, options.exact_queries, options.example_queries
            ):
                rows.append([f"{size:,}", *row])
                print("  ".join(rows[-1]), flush=True)
                text = "\n".join(lines) + f"\n\n{table(HEADER, rows)}\n"
                options.output.write_text(text, encoding="utf-8")
        connection.execute(f"DROP TABLE {TABLE} CASCADE")


def loaded(connection: Connection, size: int, count: int) -> tuple[Matrix, list[Matrix], list[str]]:
    """Load pages; the scores of all with all queries, the queries, and what to say of them."""
    client = Client(connection)
    asked = np.linspace(0, size - 1, count).astype(int)
    made = Pages()
    queries = [made.report(i // REPORT)[i % REPORT].query for i in asked]
    scores = []
    seconds = 0.0
    for first in range(0, size, CHUNK):
        numbers = range(first // REPORT, -(-min(size, first + CHUNK) // REPORT))
        some = [page.vectors for number in numbers for page in made.report(number)]
        some = some[: size - first]
        scores.append(brute_force(some, queries))
        columns = {
            "pooled": [HalfTokenArray(pooled(page)) for page in some],
            "bands": [HalfTokenArray(bands(page)) for page in some],
        }
        keys = range(first, first + len(some))
        seconds += timed(
            partial(
                client.add,
                TABLE,
                keys=keys,
                embeddings=some,
                columns=columns,
                embeddings_column="embeddings",
            )
        )
    connection.execute(f"VACUUM ANALYZE {TABLE}")
    all_scores = np.concatenate(scores)
    return (
        all_scores,
        queries,
        [
            f"\n{size:,} pages, {size / seconds:,.0f} a second by COPY into all four columns",
            *spread(all_scores, asked),
            *column_bytes(connection),
        ],
    )


def spread(scores: Matrix, asked: np.ndarray) -> list[str]:
    """How far apart the scores of pages are."""
    own = scores[asked, np.arange(len(asked))]
    ordered = -np.sort(-scores, axis=0)
    same = [scores[i - i % REPORT : i - i % REPORT + REPORT, n] for n, i in enumerate(asked)]
    report = mean(
        float((np.sum(s) - o) / max(1, len(s) - 1) / o) for s, o in zip(same, own, strict=True)
    )
    shares = ordered / own
    low, middle, high = (float(np.quantile(scores / own, q)) for q in (0.01, 0.5, 0.99))
    places = [place for place in (1, 2, 10, 100, 1000) if place <= len(scores)]
    at = ", ".join(f"{place}: {shares[place - 1].mean():.3f}" for place in places)
    return [
        f"own page {own.min():.1f} to {own.max():.1f}, mean {own.mean():.1f} of {QUERY}",
        f"of that, pages by quantile .01, .5, .99: {low:.3f}, {middle:.3f}, {high:.3f};"
        f" pages of the same report {report:.3f}",
        f"of that, by rank {at}",
    ]


def column_bytes(connection: Connection) -> Iterator[str]:
    for column in ("embeddings", "pooled", "bands", "bits"):
        ((total, vectors),) = connection.execute(
            f"SELECT avg(pg_column_size({column})), avg(cardinality({column})) FROM"
            f" (SELECT {column} FROM {TABLE} LIMIT 100) AS s"
        ).fetchall()
        yield f"{column:<12} {float(vectors):7,.0f} vectors, {float(total):9,.0f} bytes a page"


def measured(
    connection: Connection, scores: Matrix, queries: list[Matrix], exact: int, examples: int
) -> Iterator[list[str]]:
    """A row for each way of searching."""
    client = Client(connection)
    some, few = queries[:exact], queries[:examples]
    yield row("example max_sim", "", answers(partial(example, connection), few), scores)

    def built(column: str, method: Method) -> str:
        seconds = timed(lambda: client.create_index(TABLE, column, method=method))
        ((size,),) = connection.execute(
            "SELECT index_size FROM colbert.indexes"
            " WHERE source = %s::regclass AND embeddings = %s",
            [TABLE, column],
        ).fetchall()
        return f"{size} in {seconds:,.0f} s"

    def searches(what: str, index: str, asked: Sequence[Matrix]) -> Iterator[list[str]]:
        for effort, margin in EFFORTS if len(asked) == len(queries) else EFFORTS[:1]:
            for name, value in (("effort", effort), ("margin", margin)):
                setting(connection, f"colbert.{name}", "" if value is None else value)
            found = answers(partial(searched, connection), asked)
            count = scored(connection, asked[0])
            label = "default" if effort is None else f"{effort}, {margin}"
            yield row(what, label, found, scores, index, count)

    index = built("embeddings", "exact")
    yield from searches("exact", index, some)
    client.drop_index(TABLE, "embeddings")
    stages: list[tuple[str, Method, Sequence[Matrix]]] = [
        ("pooled", "plaid", queries),
        ("bands", "plaid", queries),
        ("bands", "exact", queries),
        ("bits", "exact", some),
    ]
    for column, method, asked in stages:
        index = built(column, method)
        client.create_index(TABLE, options={"first_stage": column})
        yield from searches(f"first stage {column}, {method}", index, asked)
        client.drop_index(TABLE, "embeddings")
        client.drop_index(TABLE, column)
    index = built("embeddings", "plaid")
    yield from searches("plaid", index, queries)
    client.drop_index(TABLE, "embeddings")


def row(
    what: str,
    effort: str,
    found: tuple[list[float], list[list[int]]],
    scores: Matrix,
    index: str = "",
    count: str = "",
) -> list[str]:
    seconds, keys = found
    recall = mean(
        share_found(scores[:, n], [float(scores[key, n]) for key in some], 10)
        for n, some in enumerate(keys)
    )
    return [
        what,
        effort or "-",
        f"{1e3 * median(seconds):,.1f}",
        f"{recall:.3f}",
        count or "-",
        index or "-",
    ]


def answers(
    search: Callable[[Matrix], list[int]], queries: Sequence[Matrix]
) -> tuple[list[float], list[list[int]]]:
    """Seconds of each query, and what it finds; where there are many, the first is run twice."""
    seconds, found = [], []
    for query in chain(queries[:1] if len(queries) > 3 else [], queries):
        started = time.perf_counter()
        found.append(search(query))
        seconds.append(time.perf_counter() - started)
    return seconds[-len(queries) :], found[-len(queries) :]


def searched(connection: Connection, query: Matrix) -> list[int]:
    rows = connection.execute(
        f"SELECT doc_id FROM colbert.search('{TABLE}', %s)", [TokenArray(query)]
    )
    return [key for (key,) in rows]


def scored(connection: Connection, query: Matrix) -> str:
    """How many pages a search scores by all their vectors."""
    rows = connection.execute(
        f"SELECT documents FROM colbert.explain_search('{TABLE}', %s) WHERE stage = 'scores'",
        [TokenArray(query)],
    ).fetchall()
    return f"{rows[0][0]}" if rows else "all"


def example(connection: Connection, query: Matrix) -> list[int]:
    rows = connection.execute(
        f"SELECT id FROM {TABLE}"
        " ORDER BY benchmark_max_sim(embeddings::vector[], %s) DESC LIMIT 10",
        [TokenArray(query)],
    )
    return [key for (key,) in rows]


if __name__ == "__main__":
    main()
