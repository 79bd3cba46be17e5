"""What bits save and cost: a token pair, the example max_sim over bits, and quality on SciFact.

    python -m benchmarks.bits [--documents N] [--queries 300] [--exact-queries 20] [--repeats 5]

The same SciFact vectors as halfvec(128)[] and, by their signs, as bit(128)[]. First the nanoseconds
that a token pair takes in one process, in exact search, in maxsim and in the max_sim function that
pgvector's examples show for bits. Then searches of floats, of bits, and of bits whose best k are
reranked by the floats beside them: recall@10 against exact MaxSim of the floats, and nDCG@10. All
queries are answered through the indexes. Exact search is timed for the first ones; what it finds is
taken from brute force.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks.contenders import MAX_SIM
from benchmarks.harness import (
    Connection,
    arguments,
    circumstances,
    medians,
    running,
    setting,
    table,
    timed,
)
from benchmarks.measuring import share_found
from benchmarks.scifact import DIMENSIONS, Collection, brute_force, collection, ndcg
from colbert_pg.client import Client
from colbert_pg.options import Method, Options
from colbert_pg.vectors import Matrix, TokenArray

TABLE = "benchmark_bits"
PAIRS = 500  # documents that a token pair is timed on
FIRST = (20, 50, 100)  # how many that bits have found are reranked by floats
EXAMPLE = "example max_sim, bit"

SETUP = f"""
DROP TABLE IF EXISTS {TABLE}, {TABLE}_pairs CASCADE;
DROP FUNCTION IF EXISTS benchmark_max_sim(vector[], vector[]);
DROP FUNCTION IF EXISTS benchmark_max_sim(bit[], bit[]);
CREATE TABLE {TABLE} (
  id integer PRIMARY KEY,
  embeddings halfvec({DIMENSIONS})[],
  bits bit({DIMENSIONS})[] GENERATED ALWAYS AS (colbert.binary_quantize(embeddings)) STORED
);
ALTER TABLE {TABLE} ALTER embeddings SET STORAGE EXTERNAL, ALTER bits SET STORAGE EXTERNAL;
"""

# The example's function, with the similarity that the examples take for bits.
MAX_SIM_BITS = MAX_SIM.replace("vector[]", "bit[]").replace(
    "1 - (document <=> query)", "1 - (document <~> query) / bit_length(query)"
)

RERANKED = f"""
SELECT r.doc_id, r.score
  FROM colbert.rerank(
         '{TABLE}', %(query)s,
         ARRAY(SELECT s.doc_id
                 FROM colbert.search('{TABLE}', %(query)s, k => %(first)s,
                                     embeddings => 'bits') AS s),
         k => %(k)s, embeddings => 'embeddings') AS r
"""


class Found(NamedTuple):
    """What a way of searching found, and how long it took."""

    name: str
    seconds: Sequence[float]
    keys: Sequence[Sequence[int]]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--documents", type=int, help="a part of the collection")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--exact-queries", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    of = collection(options.documents, options.queries)
    with running(options.url) as server, server.connect() as connection:
        connection.execute(SETUP)
        connection.execute(MAX_SIM)
        connection.execute(MAX_SIM_BITS)
        Client(connection).add(TABLE, keys=range(len(of.documents)), embeddings=of.documents)
        connection.execute(f"VACUUM ANALYZE {TABLE}")
        print(circumstances(connection))
        print(f"{of}\n")
        setting(connection, "max_parallel_workers_per_gather", 0)
        setting(connection, "jit", "off")
        print_bytes(connection)
        print_pairs(connection, of, options.repeats)
        print_searches(connection, of, options.exact_queries)


def print_bytes(connection: Connection) -> None:
    for column in ("embeddings", "bits"):
        row = connection.execute(
            f"SELECT sum(pg_column_size({column}))::float8 / sum(cardinality({column}))"
            f"  FROM {TABLE}"
        ).fetchone()
        assert row is not None
        print(f"{column:<12} {row[0]:6.1f} bytes a token")


def print_pairs(connection: Connection, of: Collection, repeats: int) -> None:
    """Nanoseconds of a token pair, and how many times as fast as the example."""
    connection.execute(
        f"CREATE TABLE {TABLE}_pairs AS SELECT id, embeddings::vector[] AS floats,"
        f" embeddings AS halves, bits FROM {TABLE} WHERE id < {PAIRS}"
    )
    connection.execute(f"ALTER TABLE {TABLE}_pairs ADD PRIMARY KEY (id)")
    for column in ("floats", "halves"):
        options: Options = {"dimensions": DIMENSIONS}
        Client(connection).create_index(
            f"{TABLE}_pairs", embeddings=column, method="exact", options=options
        )
    Client(connection).create_index(f"{TABLE}_pairs", embeddings="bits", method="exact")
    query = of.queries[int(np.argmax([len(q) for q in of.queries]))]
    given = "(SELECT %(query)s AS query OFFSET 0) AS q"
    scan = f"FROM {TABLE}_pairs AS d, {given}"
    signs = "colbert.binary_quantize(query)"
    runs: dict[str, str] = {
        "example max_sim, vector": f"SELECT sum(benchmark_max_sim(floats, query)) {scan}",
        EXAMPLE: f"SELECT sum(benchmark_max_sim(bits, signs)) FROM {TABLE}_pairs,"
        f" (SELECT {signs} AS signs FROM {given} OFFSET 0) AS s",
        "maxsim, vector": f"SELECT sum(colbert.maxsim(query, floats)) {scan}",
        "maxsim, halfvec": f"SELECT sum(colbert.maxsim(query::halfvec[], halves)) {scan}",
        "maxsim, bit": f"SELECT sum(colbert.maxsim(signs, bits)) FROM {TABLE}_pairs,"
        f" (SELECT {signs} AS signs FROM {given} OFFSET 0) AS s",
    }
    for name, column in (("vector", "floats"), ("halfvec", "halves"), ("bit", "bits")):
        runs[f"exact search, {name}"] = (
            f"SELECT count(*) FROM colbert.search('{TABLE}_pairs', %(query)s, exact => true,"
            f" embeddings => '{column}')"
        )
    seconds = medians(
        {name: partial(run, connection, text, query) for name, text in runs.items()}, repeats
    )
    pairs = len(query) * sum(map(len, of.documents[:PAIRS]))
    print(f"\n{min(PAIRS, len(of.documents))} documents, {len(query)} query tokens, one process")
    rows = [
        [name, f"{taken / pairs * 1e9:.1f}", f"{seconds[EXAMPLE] / taken:.2f}"]
        for name, taken in seconds.items()
    ]
    print(table(["what", "ns a token pair", "times the example, bit"], rows))


def run(connection: Connection, statement: str, query: Matrix) -> None:
    connection.execute(statement.encode(), {"query": TokenArray(query)}).fetchall()


def print_searches(connection: Connection, of: Collection, exact_queries: int) -> None:
    scores = brute_force(of.documents, of.queries)
    bits = brute_force([signs(d) for d in of.documents], [signs(q) for q in of.queries])
    client = Client(connection)
    found: list[Found] = []
    built: dict[str, str] = {}

    def index(column: str, method: Method, name: str) -> None:
        seconds = timed(partial(client.create_index, TABLE, embeddings=column, method=method))
        built[name] = f"{index_bytes(connection, column) / 1e6:,.0f} MB in {seconds:,.0f} s"

    def search_all(name: str, search: Callable[[Matrix], list[int]]) -> None:
        found.append(Found(name, *measured(search, of.queries)))

    def search_exactly(name: str, column: str, truth: Matrix) -> None:
        client.create_index(TABLE, embeddings=column, method="exact")
        some = of.queries[:exact_queries]
        seconds, _ = measured(partial(searched, connection, column), some)
        found.append(Found(name, seconds, best(truth)))

    index("embeddings", "plaid", "floats, plaid")
    search_all("floats, plaid", partial(searched, connection, "embeddings"))
    client.drop_index(TABLE, "embeddings")
    search_exactly("floats, exact", "embeddings", scores)
    search_exactly("bits, exact", "bits", bits)
    for method in ("plaid", "hnsw", "ivfflat"):
        client.drop_index(TABLE, "bits")
        index("bits", method, f"bits, {method}")
        search_all(f"bits, {method}", partial(searched, connection, "bits"))
        for first in FIRST:
            name = f"bits, {method}, {first} reranked by floats"
            search_all(name, partial(reranked, connection, first))

    print(
        f"\n{len(of.queries)} queries, one process; times of exact search: {exact_queries} queries"
    )
    print("nDCG of the vectors as they are; recall of their exact MaxSim\n")
    rows = []
    for way in found:
        recall = [
            share_found(scores[:, n], [float(scores[key, n]) for key in keys], 10)
            for n, keys in enumerate(way.keys)
        ]
        quality = [ndcg(keys, judged) for keys, judged in zip(way.keys, of.judgements, strict=True)]
        rows.append(
            [
                way.name,
                f"{1e3 * statistics.median(way.seconds):.1f}",
                f"{statistics.mean(recall):.3f}",
                f"{statistics.mean(quality):.4f}",
                built.get(way.name, "-"),
            ]
        )
    print(table(["search", "ms", "recall@10", "nDCG@10", "index, built in"], rows))


def signs(matrix: Matrix) -> Matrix:
    """1 and -1, of unit length: their inner product is 1 - 2 hamming distance / dimensions."""
    unit: Matrix = (np.where(matrix > 0, 1, -1) / np.sqrt(matrix.shape[1])).astype(np.float32)
    return unit


def best(scores: Matrix) -> list[list[int]]:
    """The ten best documents of each query."""
    return [list(map(int, np.argsort(-column, kind="stable")[:10])) for column in scores.T]


def searched(connection: Connection, column: str, query: Matrix) -> list[int]:
    rows = connection.execute(
        f"SELECT doc_id FROM colbert.search('{TABLE}', %s, embeddings => '{column}')",
        [TokenArray(query)],
    )
    return [key for (key,) in rows]


def reranked(connection: Connection, first: int, query: Matrix) -> list[int]:
    values = {"query": TokenArray(query), "first": first, "k": 10}
    return [key for key, _ in connection.execute(RERANKED, values)]


def measured(
    search: Callable[[Matrix], list[int]], queries: Sequence[Matrix]
) -> tuple[list[float], list[list[int]]]:
    """Seconds of each query, warm, and what it finds."""
    seconds, found = [], []
    search(queries[0])
    for query in queries:
        started = time.perf_counter()
        found.append(search(query))
        seconds.append(time.perf_counter() - started)
    return seconds, found


def index_bytes(connection: Connection, column: str) -> int:
    row = connection.execute(
        "SELECT index_bytes FROM colbert.indexes WHERE source = %s::regclass AND embeddings = %s",
        [TABLE, column],
    ).fetchone()
    assert row is not None
    return int(row[0])


if __name__ == "__main__":
    main()
