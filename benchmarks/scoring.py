"""What a token pair costs: the scalar maxsim, exact search, and the example max_sim, side by side.

    python -m benchmarks.scoring [--documents 1000] [--repeats 7]

Random unit vectors of 128 dimensions, documents of 240 tokens, queries of 8, 23, 32 and 128 tokens.
Everything runs in one process unless the line says otherwise. "Slope" is what each further token
pair costs in exact search, without what a document and a statement cost once: pgvector's own inner
product and one step of min() are left in it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.harness import Connection, arguments, circumstances, database, medians

TOKENS = 240
DIMENSIONS = 128
QUERIES = (8, 23, 32, 128)

# As the examples of pgvector-python define it (examples/colbert/exact.py, the MIT-licensed
# rewrite here keeps its plan: two unnests, a cross join, a group by).
EXAMPLE = """
CREATE FUNCTION benchmark_max_sim(document vector[], query vector[]) RETURNS float8
LANGUAGE sql AS $$
  WITH queries AS (
    SELECT row_number() OVER () AS query_number, q.query FROM (SELECT unnest(query) AS query) AS q
  ), documents AS (
    SELECT unnest(document) AS document
  ), similarities AS (
    SELECT query_number, 1 - (document <=> query) AS similarity FROM queries CROSS JOIN documents
  ), best AS (
    SELECT max(similarity) AS similarity FROM similarities GROUP BY query_number
  )
  SELECT sum(similarity) FROM best
$$
"""

SETUP = f"""
DROP TABLE IF EXISTS benchmark_documents, benchmark_queries CASCADE;
DROP FUNCTION IF EXISTS benchmark_max_sim(vector[], vector[]);
CREATE TABLE benchmark_documents (
  id integer PRIMARY KEY,
  embeddings vector({DIMENSIONS})[],
  half halfvec({DIMENSIONS})[]
);
ALTER TABLE benchmark_documents
  ALTER embeddings SET STORAGE EXTERNAL, ALTER half SET STORAGE EXTERNAL;
CREATE TABLE benchmark_queries (tokens integer PRIMARY KEY, query vector[]);
"""

RANDOM = f"""
SELECT array_agg(token) FROM (
  SELECT l2_normalize(array_agg(random() - 0.5 + 0 * n)::vector) AS token
    FROM generate_series(1, %s) AS t, generate_series(1, {DIMENSIONS}) AS n
   GROUP BY t) AS tokens
"""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    with database(options.url) as connection:
        fill(connection, options.documents)
        print(circumstances(connection))
        print(f"{options.documents} documents of {TOKENS} tokens, {DIMENSIONS} dimensions")
        print("ns a token pair, and how many times as fast as the example\n")
        exact: dict[int, float] = {}
        for tokens in QUERIES:
            seconds = medians(statements(connection, tokens), options.repeats)
            pairs = options.documents * TOKENS * tokens
            print(f"{tokens} query tokens")
            for name, taken in seconds.items():
                ratio = seconds["example max_sim"] / taken
                print(f"  {name:<32} {taken / pairs * 1e9:7.1f} {ratio:6.2f}x")
            exact[tokens] = seconds["exact search"]
        few, many = min(QUERIES), max(QUERIES)
        slope = (exact[many] - exact[few]) / (options.documents * TOKENS * (many - few))
        print(f"\nslope of exact search: {slope * 1e9:.1f} ns a token pair")


def fill(connection: Connection, documents: int) -> None:
    connection.execute(SETUP)
    connection.execute(EXAMPLE)
    for number in range(documents):
        connection.execute(
            f"INSERT INTO benchmark_documents (id, embeddings) VALUES (%s, ({RANDOM}))",
            (number, TOKENS),
        )
    connection.execute(f"UPDATE benchmark_documents SET half = embeddings::halfvec({DIMENSIONS})[]")
    for tokens in QUERIES:
        connection.execute(
            f"INSERT INTO benchmark_queries VALUES (%s, ({RANDOM}))", (tokens, tokens)
        )
    connection.execute("SELECT colbert.create_index('benchmark_documents', method => 'exact')")
    connection.execute("SELECT colbert.create_index('benchmark_documents', 'half', 'exact')")


def statements(connection: Connection, tokens: int) -> dict[str, Callable[[], object]]:
    """Each reads all documents once, for the stored query of so many tokens."""
    query = f"(SELECT query FROM benchmark_queries WHERE tokens = {tokens})"
    search = f"SELECT count(*) FROM colbert.search('benchmark_documents', {query}, exact => true"
    scan = f"FROM benchmark_documents, (SELECT {query} AS query) AS q"
    texts = {
        "example max_sim": f"SELECT sum(benchmark_max_sim(embeddings, query)) {scan}",
        "maxsim": f"SELECT sum(colbert.maxsim(query, embeddings)) {scan}",
        "exact search": f"{search}, embeddings => 'embeddings')",
        "exact search, halfvec": f"{search}, embeddings => 'half')",
    }
    one = partial(run, connection, 0)
    several = partial(run, connection, 2)
    timed: dict[str, Callable[[], object]] = {
        name: partial(one, text) for name, text in texts.items()
    }
    timed["exact search, two workers"] = partial(several, texts["exact search"])
    return timed


def run(connection: Connection, workers: int, statement: str) -> None:
    connection.execute(f"SET max_parallel_workers_per_gather = {workers}")
    connection.execute("SET jit = off")
    connection.execute(statement.encode()).fetchall()


if __name__ == "__main__":
    main()
