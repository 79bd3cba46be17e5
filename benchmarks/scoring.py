"""What a token pair costs: pgvector's distance, exact search, maxsim, the example max_sim.

    python -m benchmarks.scoring [--documents 1000] [--repeats 7]

Random unit vectors of 128 dimensions, documents of 240 tokens, queries of 8, 23, 32 and 128 tokens.
Everything runs in one process unless the line says otherwise.

"pgvector's distance" calls the operator once for each token pair and does nothing with what comes
back: the least that any MaxSim in SQL takes. "Slope" is what each further token pair costs, without
what a document and a statement cost once; in exact search a step of min() is left in it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.contenders import MAX_SIM
from benchmarks.harness import Connection, arguments, circumstances, database, medians

TOKENS = 240
DIMENSIONS = 128
QUERIES = (8, 23, 32, 128)

DISTANCE = "pgvector's distance"
EXAMPLE = "example max_sim"
EXACT = "exact search"

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
        seconds: dict[int, dict[str, float]] = {}
        for tokens in QUERIES:
            seconds[tokens] = medians(statements(connection, tokens), options.repeats)
            pairs = options.documents * TOKENS * tokens
            print(f"{tokens} query tokens")
            for name, taken in seconds[tokens].items():
                ratio = seconds[tokens][EXAMPLE] / taken
                print(f"  {name:<32} {taken / pairs * 1e9:7.1f} {ratio:6.2f}x")
        few, many = min(QUERIES), max(QUERIES)
        for half in ("", ", halfvec"):
            distance, exact = f"{DISTANCE}{half}", f"{EXACT}{half}"
            print(f"\nexact search in times of pgvector's distance{half}")
            for tokens in QUERIES:
                ratio = seconds[tokens][exact] / seconds[tokens][distance]
                print(f"  {tokens:3} query tokens {ratio:6.2f}")
            slopes = [
                (seconds[many][name] - seconds[few][name])
                / (options.documents * TOKENS * (many - few))
                for name in (exact, distance)
            ]
            print(
                f"  slope            {slopes[0] / slopes[1]:6.2f}"
                f"  ({slopes[0] * 1e9:.1f} of {slopes[1] * 1e9:.1f} ns a token pair)"
            )


def fill(connection: Connection, documents: int) -> None:
    connection.execute(SETUP)
    connection.execute(MAX_SIM)
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
        DISTANCE: distances(connection, tokens, "embeddings", "vector"),
        f"{DISTANCE}, halfvec": distances(connection, tokens, "half", "halfvec"),
        EXAMPLE: f"SELECT sum(benchmark_max_sim(embeddings, query)) {scan}",
        "maxsim": f"SELECT sum(colbert.maxsim(query, embeddings)) {scan}",
        EXACT: f"{search}, embeddings => 'embeddings')",
        f"{EXACT}, halfvec": f"{search}, embeddings => 'half')",
    }
    one = partial(run, connection, 0)
    several = partial(run, connection, 2)
    timed: dict[str, Callable[[], object]] = {
        name: partial(one, text) for name, text in texts.items()
    }
    timed[f"{EXACT}, two workers"] = partial(several, texts[EXACT])
    return timed


def distances(connection: Connection, tokens: int, column: str, element: str) -> str:
    """One call of the operator for each token pair, with the query's vectors as constants.

    num_nulls() evaluates its arguments and looks at nothing else; it takes up to a hundred.
    """
    row = connection.execute(
        "SELECT query::text[] FROM benchmark_queries WHERE tokens = %s", (tokens,)
    ).fetchone()
    assert row is not None
    calls = [f"t.token <#> '{vector}'::{element}({DIMENSIONS})" for vector in row[0]]
    groups = [", ".join(calls[first : first + 64]) for first in range(0, tokens, 64)]
    nulls = " + ".join(f"num_nulls({group})" for group in groups)
    tokens_of_documents = f"SELECT unnest({column}) AS token FROM benchmark_documents OFFSET 0"
    return f"SELECT sum({nulls}) FROM ({tokens_of_documents}) AS t"


def run(connection: Connection, workers: int, statement: str) -> None:
    connection.execute(f"SET max_parallel_workers_per_gather = {workers}")
    connection.execute("SET jit = off")
    connection.execute(statement.encode()).fetchall()


if __name__ == "__main__":
    main()
