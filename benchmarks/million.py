"""A million documents on one machine: python -m benchmarks.million

The documents are descriptions of Debian's packages (benchmarks/collections.py), cut to 76 tokens,
and then documents made of them (benchmarks/growth.py). At each size, in a table of its own that is
loaded, indexed and then measured:

    default searches for 10 and 100 documents, and what less and more effort finds
    filters that leave .1 %, 1 %, 5 %, 10 % and 50 %
    hybrid search, whose words are made as benchmarks/hybrid_scaling.py makes them: those of a
    document that is made of others have nothing to do with its vectors
    an update and a delete of 1 % of the documents, and a search after them
    check_index, and repair_index of .1 % that were deleted where no trigger saw it
    the memory of a backend, the size on disk

Exact search, as 0.2.0 did it in one process, is beside default searches, for a few of the queries.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from statistics import mean

import numpy as np

from benchmarks.collections import named
from benchmarks.growth import more_documents
from benchmarks.harness import Connection, Server, arguments, circumstances, running, table, timed
from benchmarks.hybrid_scaling import grown, lexemes
from benchmarks.measuring import (
    COLUMNS,
    Figures,
    Search,
    measured,
    measured_hybrid,
    share_found,
    yardstick,
)
from benchmarks.scifact import Collection, brute_force
from colbert_pg.client import Client
from colbert_pg.options import Options
from colbert_pg.vectors import Matrix

RESULT = Path(__file__).resolve().parent / "results" / "million.txt"
TABLE = "benchmark_million"
TOKENS = 76  # of a document, at most
CHUNK = 1000  # documents that are made and loaded at a time
FILTERS = (1, 10, 50, 100, 500)  # of 1,000
HEADER = ["documents", "what", "k", *COLUMNS, "note"]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[50_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--exact-queries", type=int, default=3)
    parser.add_argument("--centroids", type=int, help="how many; default: as many as plaid wants")
    parser.add_argument(
        "--loaded",
        type=Path,
        help="an .npz file of the scores and of what loading and building took, written after each."
        " Where it is there, the table of the first size is taken as it says, from a run that was"
        " ended before (with --url)",
    )
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()

    packages = named("packages", queries=options.queries)
    real = [document[:TOKENS] for document in packages.documents]
    rows: list[list[str]] = []
    with running(options.url) as server:
        for size in options.sizes:
            documents = islice(chain(real, more_documents(real)), size)
            for row in _measured(server, documents, packages, size, options):
                print("  ".join(row), flush=True)
                rows.append(row)
                with server.connect() as connection:
                    head = circumstances(connection)
                head += f"\n{len(real):,} real documents, the others made of them"
                options.output.write_text(f"{head}\n\n{table(HEADER, rows)}\n", encoding="utf-8")


def _measured(
    server: Server,
    documents: Iterator[Matrix],
    packages: Collection,
    size: int,
    options: Namespace,
) -> Iterator[list[str]]:
    queries = packages.queries
    exact_queries = options.exact_queries
    wanted: Options = {} if options.centroids is None else {"centroids": options.centroids}
    before: Path | None = options.loaded if size == options.sizes[0] else None

    def row(
        what: str, k: int | None = None, figures: Figures | None = None, note: str = ""
    ) -> list[str]:
        cells = (figures or Figures()).cells()
        return [f"{size:,}", what, "-" if k is None else str(k), *cells, note]

    with server.connect() as connection, yardstick(server) as exact:
        client = Client(connection)
        saved = dict(np.load(before)) if before and before.exists() else {}
        if "copied" not in saved:
            words = grown([lexemes(connection, text) for text in packages.texts], size)
            loaded = _loaded(connection, client, documents, words, queries)
            saved = dict(zip(("scores", "tokens", "copied"), loaded, strict=True))
            if before:
                np.savez(before, **saved)
        scores, tokens, seconds = saved["scores"], int(saved["tokens"]), float(saved["copied"])
        yield row("load", note=f"{tokens:,} tokens, COPY {tokens / seconds:,.0f} tokens/s")
        if "built" not in saved:
            build = partial(client.create_index, TABLE, method="plaid", options=wanted)
            saved["built"] = np.array(timed(build))
            if before:
                np.savez(before, **saved)
        seconds = float(saved["built"])
        yield row("build", note=f"{tokens / seconds:,.0f} tokens/s, {seconds:,.0f} s")
        ((heap, index),) = connection.execute(
            "SELECT pg_size_pretty(pg_total_relation_size(source)), index_size FROM colbert.indexes"
            " WHERE source = %s::regclass",
            [TABLE],
        ).fetchall()
        yield row("disk", note=f"table {heap}, index {index}")

        for k in (10, 100):
            for effort in (None, 0.25, 0.5, 2):
                if effort is not None:
                    connection.execute(f"SET colbert.effort = {effort}")
                answered = exact_queries if effort is None else 0
                found = measured(Search(TABLE, k), queries, scores, connection, exact, answered)
                named_ = "default" if effort is None else f"effort {effort:g}"
                yield row(f"search, {named_}", k, found)
                connection.execute("RESET colbert.effort")
        per_mille = _per_mille(len(scores))
        for below in FILTERS:
            search = Search(TABLE, 10, f"per_mille < {below}")
            seen = per_mille < below
            found = measured(search, queries, scores[seen], connection, exact, exact_queries)
            yield row(f"filter, {below / 10:g} % are left", 10, found)
        found = measured_hybrid(
            TABLE, queries, packages.questions, connection, exact, exact_queries
        )
        yield row("hybrid search", 10, found)
        yield row("memory", note=_memory(connection))

        changed = size // 100
        seconds = timed(lambda: _reversed(connection, changed))
        yield row("update of 1 %", note=f"{seconds:,.0f} s, {changed / seconds:,.0f} documents/s")
        seconds = timed(
            lambda: connection.execute(f"DELETE FROM {TABLE} WHERE id >= %s", [size - changed])
        )
        yield row("delete of 1 %", note=f"{seconds:,.0f} s, {changed / seconds:,.0f} documents/s")
        kept = scores[: size - changed]
        recall = mean(
            share_found(kept[:, i], Search(TABLE).scores(connection, query), 10)
            for i, query in enumerate(queries)
        )
        yield row("search after both", 10, Figures(recall=recall))
        problems: list[object] = []
        seconds = timed(lambda: problems.extend(client.check_index(TABLE)))
        yield row("check_index", note=f"{seconds:,.0f} s, {len(problems)} problems")
        unseen = size // 1000
        with connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")  # no trigger fires
            connection.execute(f"DELETE FROM {TABLE} WHERE id < %s", [unseen])
        seconds = timed(lambda: client.repair_index(TABLE))
        left = len(client.check_index(TABLE))
        yield row("repair_index", note=f"{seconds:,.0f} s, {left} problems left of {unseen:,}")
        client.drop_index(TABLE)
        connection.execute(f"DROP TABLE {TABLE}")


def _loaded(
    connection: Connection,
    client: Client,
    documents: Iterator[Matrix],
    words: Iterator[str],
    queries: list[Matrix],
) -> tuple[Matrix, int, float]:
    """The scores of all documents with all queries, how many tokens, and the seconds of COPY."""
    connection.execute(f"DROP TABLE IF EXISTS {TABLE} CASCADE")
    connection.execute(
        f"CREATE TABLE {TABLE}"
        " (id integer PRIMARY KEY, per_mille integer, lexemes text, embeddings halfvec(128)[],"
        " words tsvector GENERATED ALWAYS AS (lexemes::tsvector) STORED)"
    )
    connection.execute(f"ALTER TABLE {TABLE} ALTER embeddings SET STORAGE EXTERNAL")
    connection.execute(f"CREATE INDEX ON {TABLE} (per_mille)")
    scores: list[Matrix] = []
    loaded, tokens, seconds = 0, 0, 0.0
    while some := list(islice(documents, CHUNK)):
        keys = range(loaded, loaded + len(some))
        per_mille = _per_mille(keys.stop)[keys.start :].tolist()
        columns = {"per_mille": per_mille, "lexemes": list(islice(words, len(some)))}
        copy = partial(client.add, TABLE, keys=keys, columns=columns, embeddings=some)
        seconds += timed(copy)
        scores.append(brute_force(some, queries))
        loaded += len(some)
        tokens += sum(map(len, some))
    connection.execute(f"CREATE INDEX ON {TABLE} USING gin (words)")
    connection.execute(f"VACUUM ANALYZE {TABLE}")
    return np.concatenate(scores), tokens, seconds


def _per_mille(count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Numbers from 0 to 999 that say nothing of the documents."""
    return np.arange(count) * 7919 % 1000


def _reversed(connection: Connection, count: int) -> None:
    """Another array of the same score for some documents: their tokens in the other order."""
    connection.execute(
        f"UPDATE {TABLE} SET embeddings = ARRAY(SELECT u.token FROM unnest(embeddings)"
        " WITH ORDINALITY AS u (token, i) ORDER BY u.i DESC) WHERE id < %s",
        [count],
    )


def _memory(connection: Connection) -> str:
    """Of the backend that has searched, without what it shares with others."""
    status = Path(f"/proc/{connection.info.backend_pid}/status").read_text(encoding="ascii")
    values = dict(line.split(":", 1) for line in status.splitlines())
    return f"{int(values['RssAnon'].split()[0]) / 1024:.0f} MB of its own"


if __name__ == "__main__":
    main()
