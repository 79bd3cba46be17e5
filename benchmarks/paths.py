"""The paths that people take, in one table from one run: python -m benchmarks.paths

A path is a function that is registered under a name. Its decorator names what is prepared for it, a
table, which is made once for all paths that share it. The function yields the rows that it measures
there. Each row has the median and the 95th percentile of the times, how many times faster that is
than exact search as 0.2.0 did it in one process, the share of the true best k that was found, how
many documents were scored, and how many rows of the index were read.

Searches have all defaults but what the row names, in sessions with default settings; k is 10. Paths
that load or build measure a part of the collection (--part). What cannot be measured is named with
the reason.
"""

from __future__ import annotations

import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import count, pairwise
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import numpy as np
import psycopg

from benchmarks.collections import COLLECTIONS, named
from benchmarks.contenders import MissingError
from benchmarks.harness import (
    Connection,
    Server,
    arguments,
    circumstances,
    running,
    setting,
    table,
    timed,
)
from benchmarks.measuring import (
    COLUMNS,
    Figures,
    Search,
    measured,
    measured_hybrid,
    share_found,
    timed_exact,
    timed_search,
    yardstick,
)
from benchmarks.scifact import DIMENSIONS, Collection, brute_force
from colbert_pg.client import Client
from colbert_pg.options import Method, Options
from colbert_pg.vectors import HalfTokenArray, Matrix

RESULT = Path(__file__).resolve().parent / "results" / "paths.txt"
HEADER = ["path", "case", "documents", "tokens", *COLUMNS, "note"]
CLIENTS = 8
TENANTS = 3  # have as many documents each: too many, in the default part, for a mere exact pass
TENANT = 1  # the one that searches
READER = "benchmark_reader"  # a role that row-level security limits
PAUSE = 0.01  # seconds between two writes, and between two reads, beside a build
SESSIONS = 10  # whose first searches are measured
RESTARTS = 3  # before which the caches are emptied
FEW, MANY = 3, 32  # tokens of a query
SHORT, LONG = 30, 1000  # tokens of a document


# What paths share


@dataclass
class Source:
    """A table that paths search. A document's key is its position.

    Attributes:
        name: of the table.
        documents: what is in it, or will be.
        queries: to search it with.
        note: what preparing it has shown.
    """

    name: str
    documents: list[Matrix]
    queries: list[Matrix]
    note: str = ""

    @property
    def tokens(self) -> int:
        return sum(map(len, self.documents))

    @cached_property
    def scores(self) -> Matrix:
        """Of every document with every query: (documents, queries)."""
        return brute_force(self.documents, self.queries)

    @cached_property
    def per_mille(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Numbers from 0 to 999 that are spread over the documents, as the column per_mille."""
        order = np.random.default_rng(0).permutation(len(self.documents))
        return order * 1000 // max(1, len(order))

    @cached_property
    def tenants(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Whose each document is, as the column tenant."""
        return np.arange(len(self.documents)) % TENANTS


@dataclass
class Bench:
    """What is measured, and where."""

    server: Server
    whole: Collection
    part: Collection
    exact_queries: int

    def figures(
        self,
        source: Source,
        search: Search,
        seen: np.ndarray[tuple[int], np.dtype[np.bool_]] | slice = slice(None),
        role: str | None = None,
    ) -> Figures:
        """Of a search, in a session of its own beside the yardstick.

        Args:
            seen: the documents that the search may find. Default: all.
            role: who searches, and uses the yardstick. Default: the owner of the table.
        """
        with self.server.connect() as connection, yardstick(self.server) as exact:
            for session in (connection, exact) if role else ():
                session.execute(f"SET ROLE {role}")
                setting(session, "benchmark.tenant", TENANT)
            return measured(
                search, source.queries, source.scores[seen], connection, exact, self.exact_queries
            )


class Row(NamedTuple):
    """A line of the table."""

    case: str
    source: Source
    figures: Figures
    note: str = ""


@dataclass(frozen=True)
class UserPath:
    """A path that people take.

    Attributes:
        name: for ``--only`` and the table.
        prepare: makes the table; paths with the same function share what it makes.
        measure: yields rows, and may leave the table changed only if no other path shares it.

    Both may raise :class:`~benchmarks.contenders.MissingError`.
    """

    name: str
    prepare: Callable[[Bench], Source]
    measure: Callable[[Bench, Source], Iterator[Row]]


PATHS: dict[str, UserPath] = {}

Measure = Callable[[Bench, Source], Iterator[Row]]


def path(name: str, prepare: Callable[[Bench], Source]) -> Callable[[Measure], Measure]:
    """Register a path, for ``--only NAME``. Paths are measured in the order of registering."""

    def register(measure: Measure) -> Measure:
        PATHS[name] = UserPath(name, prepare, measure)
        return measure

    return register


# What is prepared


def created(bench: Bench, name: str, documents: list[Matrix]) -> Source:
    """An empty table for some documents."""
    source = Source(f"benchmark_paths_{name}", documents, bench.whole.queries)
    with bench.server.connect() as connection:
        client = Client(connection)
        if any(index["source"] == source.name for index in client.indexes()):
            client.drop_index(source.name)
        connection.execute(f"DROP TABLE IF EXISTS {source.name} CASCADE")
        connection.execute(
            f"CREATE TABLE {source.name} ("
            "  id integer PRIMARY KEY, per_mille integer, tenant integer, content text,"
            "  words tsvector GENERATED ALWAYS AS (to_tsvector('english', content)) STORED,"
            f" embeddings halfvec({DIMENSIONS})[])"
        )
        connection.execute(f"ALTER TABLE {source.name} ALTER embeddings SET STORAGE EXTERNAL")
        for column in ("per_mille", "tenant"):
            connection.execute(f"CREATE INDEX ON {source.name} ({column})")
    return source


def loaded(bench: Bench, source: Source, texts: Sequence[str] = ()) -> float:
    """Put the documents in by one COPY; returns seconds."""
    with bench.server.connect() as connection:
        load = Client(connection).add
        keys = range(len(source.documents))
        columns = {"per_mille": source.per_mille.tolist(), "tenant": source.tenants.tolist()}
        seconds = timed(
            lambda: load(
                source.name,
                list(texts) or None,
                keys=keys,
                columns=columns,
                embeddings=source.documents,
            )
        )
        connection.execute(f"VACUUM ANALYZE {source.name}")
    return seconds


def indexed(
    bench: Bench, source: Source, method: Method = "plaid", options: Options | None = None
) -> float:
    """Create an index on what is there; returns seconds."""
    with bench.server.connect() as connection:
        client = Client(connection)
        return timed(lambda: client.create_index(source.name, method=method, options=options))


def whole(bench: Bench) -> Source:
    """All of the collection, indexed after loading."""
    source = created(bench, "whole", bench.whole.documents)
    loaded(bench, source, bench.whole.texts)
    with bench.server.connect() as connection:
        connection.execute(f"CREATE INDEX ON {source.name} USING gin (words)")
    source.note = _built(source, indexed(bench, source))
    return source


def index_first(bench: Bench) -> Source:
    """A part, loaded into a table that had its index already."""
    source = created(bench, "index_first", bench.part.documents)
    indexed(bench, source)
    seconds = loaded(bench, source)
    source.note = f"COPY {source.tokens / seconds:,.0f} tokens/s"
    return source


def index_maintained(bench: Bench) -> Source:
    """The same part, loaded in the same way, and then ``CALL colbert.maintain()``."""
    source = created(bench, "index_maintained", bench.part.documents)
    indexed(bench, source)
    loaded(bench, source)
    with bench.server.connect() as connection:
        seconds = timed(Client(connection).maintain)
    source.note = f"maintained in {seconds:.1f} s"
    return source


def index_last(bench: Bench) -> Source:
    """The same part, indexed after loading."""
    source = created(bench, "index_last", bench.part.documents)
    loaded(bench, source)
    source.note = _built(source, indexed(bench, source))
    return source


def unindexed(bench: Bench) -> Source:
    """A part without an index."""
    source = created(bench, "unindexed", bench.part.documents)
    loaded(bench, source)
    return source


def rewritten(bench: Bench) -> Source:
    """A part with an index, which writers change."""
    source = created(bench, "rewritten", bench.part.documents)
    loaded(bench, source)
    indexed(bench, source)
    return source


def short_documents(bench: Bench) -> Source:
    """Documents that are cut."""
    source = created(bench, "short", [document[:SHORT] for document in bench.whole.documents])
    loaded(bench, source)
    source.note = _built(source, indexed(bench, source))
    return source


def long_documents(bench: Bench) -> Source:
    """Documents that are joined and then cut."""
    tokens = np.concatenate(bench.whole.documents)
    joined = [tokens[first : first + LONG] for first in range(0, len(tokens), LONG)]
    source = created(bench, "long", joined)
    loaded(bench, source)
    source.note = _built(source, indexed(bench, source))
    return source


def secured(method: Method, *, apart: bool = False) -> Callable[[Bench], Source]:
    """A table under row-level security, by which a reader sees the documents of one tenant.

    It has a part of the documents; or all, in an index that is kept apart by tenant.
    """

    def prepare(bench: Bench) -> Source:
        documents = bench.whole.documents if apart else bench.part.documents
        source = created(bench, "apart" if apart else f"secured_{method}", documents)
        loaded(bench, source)
        with bench.server.connect() as connection:
            run = connection.execute
            with suppress(psycopg.errors.DuplicateObject):
                run(f"CREATE ROLE {READER}")
            run(f"GRANT SELECT ON {source.name} TO {READER}")
            run(f"ALTER TABLE {source.name} ENABLE ROW LEVEL SECURITY")
            run(
                f"CREATE POLICY own ON {source.name}"
                " USING (tenant = current_setting('benchmark.tenant')::integer)"
            )
            run(f"ALTER TABLE {source.name} ALTER tenant SET NOT NULL")
        options: Options = {"tenant": "tenant"} if apart else {}
        source.note = _built(source, indexed(bench, source, method, options))
        return source

    return prepare


def _built(source: Source, seconds: float) -> str:
    return f"built at {source.tokens / seconds:,.0f} tokens/s"


# The paths


@path("index-last", index_last)
@path("index-first", index_first)
@path("index-first-maintained", index_maintained)
def _search(bench: Bench, source: Source) -> Iterator[Row]:
    yield Row("search", source, bench.figures(source, Search(source.name)), source.note)


@path("create-index", unindexed)
def _create_index(bench: Bench, source: Source) -> Iterator[Row]:
    """Nothing can be searched yet: the reader fetches documents by their keys."""

    def read(connection: Connection, number: int) -> None:
        key = number % len(source.documents)
        statement = f"SELECT embeddings FROM {source.name} WHERE id = %s"
        connection.execute(statement, (key,), binary=True)

    def create(concurrently: bool) -> None:
        with bench.server.connect() as connection:
            client = Client(connection)
            if any(index["source"] == source.name for index in client.indexes()):
                client.drop_index(source.name)
            client.create_index(source.name, method="plaid", concurrently=concurrently)

    for concurrently, how in ((False, ""), (True, ", concurrently")):
        building = _beside(bench, source, partial(create, concurrently), read)
        note = building.longest(building.writes)
        yield Row(f"writer{how}", source, Figures(building.writes), note)
        note = building.longest(building.reads)
        yield Row(f"reader of rows{how}", source, Figures(building.reads), note)


class Beside(NamedTuple):
    """What a writer and a reader met while something ran: seconds."""

    work: float
    writes: list[float]
    reads: list[float]

    def longest(self, waits: Sequence[float]) -> str:
        return f"longest {max(waits):.2f} s of {self.work:.2f} s"


def _beside(
    bench: Bench,
    source: Source,
    work: Callable[[], object],
    read: Callable[[Connection, int], object],
) -> Beside:
    """Run something beside a writer and a reader, who begin with it and go on until it is done.

    The writer takes one document after the other and reverses its tokens, which changes no score.
    """
    done = threading.Event()

    def write(connection: Connection, number: int) -> None:
        turn, key = divmod(number, len(source.documents))
        document = source.documents[key][:: 1 if turn % 2 else -1]
        statement = f"UPDATE {source.name} SET embeddings = %s WHERE id = %s"
        connection.execute(statement, (HalfTokenArray(document), key))

    def repeated(operation: Callable[[Connection, int], object]) -> list[float]:
        seconds = []
        with bench.server.connect() as connection:
            for number in count():
                started = time.perf_counter()
                operation(connection, number)
                seconds.append(time.perf_counter() - started)
                if done.wait(PAUSE):
                    break
        return seconds

    with ThreadPoolExecutor(2) as pool:
        writer, reader = pool.submit(repeated, write), pool.submit(repeated, read)
        try:
            seconds = timed(work)
        finally:
            done.set()
    return Beside(seconds, writer.result(), reader.result())


@path("reindex", rewritten)
def _reindex(bench: Bench, source: Source) -> Iterator[Row]:
    """Exact search, and what a search scores and reads, are measured before it."""
    search = Search(source.name)
    recall: list[float] = []

    def read(connection: Connection, number: int) -> None:
        query = number % len(source.queries)
        found = search.scores(connection, source.queries[query])
        recall.append(share_found(source.scores[:, query], found, search.k))

    def rebuild(concurrently: bool) -> None:
        with bench.server.connect() as connection:
            Client(connection).reindex(source.name, concurrently=concurrently)

    before = bench.figures(source, search)
    for concurrently, how in ((False, ""), (True, ", concurrently")):
        recall.clear()
        building = _beside(bench, source, partial(rebuild, concurrently), read)
        note = building.longest(building.writes)
        yield Row(f"writer{how}", source, Figures(building.writes), note)
        during = replace(before, seconds=building.reads, recall=mean(recall))
        yield Row(f"search{how}", source, during, building.longest(building.reads))
    yield Row("search afterwards", source, bench.figures(source, search))


@path("k", whole)
def _k(bench: Bench, source: Source) -> Iterator[Row]:
    note = source.note
    for k in (1, 10, 50, 100, 500):
        yield Row(f"k {k}", source, bench.figures(source, Search(source.name, k)), note)
        note = ""


@path("query-tokens", whole)
def _query_tokens(bench: Bench, source: Source) -> Iterator[Row]:
    """Few tokens from the middle of a query; many, of a query and the next one together."""
    queries = source.queries
    few = [q[(len(q) - FEW) // 2 :][:FEW] for q in queries]
    following = [*queries[1:], *queries[:1]]
    many = [
        np.resize(np.concatenate([q, other]), (MANY, DIMENSIONS))
        for q, other in zip(queries, following, strict=True)
    ]
    for tokens, asked in ((FEW, few), (MANY, many)):
        same = Source(source.name, source.documents, asked)
        yield Row(f"{tokens} query tokens", source, bench.figures(same, Search(source.name)))


@path("long-documents", long_documents)
@path("short-documents", short_documents)
def _lengths(bench: Bench, source: Source) -> Iterator[Row]:
    case = f"{max(map(len, source.documents)):,} tokens each"
    yield Row(case, source, bench.figures(source, Search(source.name)), source.note)


@path("filter", whole)
def _filter(bench: Bench, source: Source) -> Iterator[Row]:
    """The filter's column has an index. Exact search has the same condition."""
    for below in (1, 10, 100, 500):
        search = Search(source.name, filter=f"per_mille < {below}")
        figures = bench.figures(source, search, source.per_mille < below)
        yield Row(f"{below / 10:g} % are left", source, figures)


@path("rls-hnsw", secured("hnsw"))
@path("rls-tenant", secured("plaid", apart=True))
@path("rls-plaid", secured("plaid"))
def _row_level_security(bench: Bench, source: Source) -> Iterator[Row]:
    """Exact search is that of the same role."""
    search = Search(source.name)
    yield Row("owner", source, bench.figures(source, search), source.note)
    figures = bench.figures(source, search, source.tenants == TENANT, READER)
    yield Row("tenant", source, figures, f"sees 1 document in {TENANTS}")


@path("hybrid", whole)
def _hybrid(bench: Bench, source: Source) -> Iterator[Row]:
    if not bench.whole.texts:
        raise MissingError(f"{bench.whole.name} has no texts")
    with bench.server.connect() as connection, yardstick(bench.server) as exact:
        figures = measured_hybrid(
            source.name,
            source.queries,
            bench.whole.questions,
            connection,
            exact,
            bench.exact_queries,
        )
        figures.exact_seconds = [
            timed_exact(Search(source.name), exact, query)
            for query in source.queries[: bench.exact_queries]
        ]
    yield Row("hybrid search", source, figures, "exact: late interaction alone")


@path("clients", whole)
def _clients(bench: Bench, source: Source) -> Iterator[Row]:
    """Clients that search at the same time; afterwards, as many that search exactly."""
    search = Search(source.name)
    alone = bench.figures(source, search)

    def searches(client: int) -> list[float]:
        with bench.server.connect() as connection:
            turn = np.roll(np.arange(len(source.queries)), client)
            return [timed_search(search, connection, source.queries[n])[0] for n in turn]

    def exactly(client: int) -> float:
        with yardstick(bench.server) as exact:
            return timed_exact(search, exact, source.queries[client % len(source.queries)])

    with ThreadPoolExecutor(CLIENTS) as pool:
        started = time.perf_counter()
        seconds = [took for some in pool.map(searches, range(CLIENTS)) for took in some]
        rate = len(seconds) / (time.perf_counter() - started)
        together = replace(
            alone, seconds=seconds, exact_seconds=list(pool.map(exactly, range(CLIENTS)))
        )
    yield Row(f"{CLIENTS} clients", source, together, f"{rate:.0f} searches/s in all")


@path("first-search", whole)
def _first_search(bench: Bench, source: Source) -> Iterator[Row]:
    """Each session asks a query twice."""
    asked = [(query, query) for query in source.queries[:SESSIONS]]
    first, second = _sessions(bench, source, asked)
    yield Row("first of a session", source, first)
    yield Row("the same again", source, second)


@path("cold", whole)
def _cold(bench: Bench, source: Source) -> Iterator[Row]:
    """The server is restarted before each session, which asks two queries."""
    if bench.server.embedded is None:
        raise MissingError("the server behind a URL is not ours to restart")
    asked = list(pairwise(source.queries))[:RESTARTS]
    first, second = _sessions(bench, source, asked, bench.server.restart)
    yield Row("first after a restart", source, first, f"cold: {bench.server.restart()}")
    yield Row("another query", source, second)


def _sessions(
    bench: Bench,
    source: Source,
    asked: Sequence[tuple[Matrix, Matrix]],
    prepare: Callable[[], object] = lambda: None,
) -> list[Figures]:
    """Figures of the first searches of sessions, and of the second ones.

    What they find and read was measured before, since it is always the same. Exact searches have
    sessions of their own.

    Args:
        asked: two queries for each session.
        prepare: called before each session.
    """
    search = Search(source.name)
    same = Source(source.name, source.documents, [first for first, _ in asked])
    warm = bench.figures(same, search)
    figures = [replace(warm, seconds=[], exact_seconds=[]) for _ in range(2)]
    for queries in asked:
        prepare()
        with bench.server.connect() as connection:
            for place, query in zip(figures, queries, strict=True):
                place.seconds.append(timed_search(search, connection, query)[0])
        prepare()
        with yardstick(bench.server) as exact:
            for place, query in zip(figures, queries, strict=True):
                place.exact_seconds.append(timed_exact(search, exact, query))
    return figures


# Running them


def main() -> None:
    options = _options()
    collection = named(options.collection, options.documents, options.queries)
    part = collection._replace(documents=collection.documents[: options.part])
    rows: list[list[str]] = []
    with running(options.url) as server:
        with server.connect() as connection:
            head = f"{circumstances(connection)}\n{collection}"
        print(head, flush=True)
        bench = Bench(server, collection, part, options.exact_queries)
        for line in _rows(bench, [PATHS[name] for name in PATHS if name in options.only]):
            rows.append(line)
            print("  ".join(line), flush=True)
            options.output.write_text(f"{head}\n\n{table(HEADER, rows)}\n", encoding="utf-8")
        with server.connect() as connection, suppress(psycopg.errors.UndefinedObject):
            connection.execute(f"DROP OWNED BY {READER}")
            connection.execute(f"DROP ROLE {READER}")
    print(f"\n{table(HEADER, rows)}")


def _options() -> Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=PATHS, default=list(PATHS))
    parser.add_argument("--collection", choices=COLLECTIONS, default="scifact")
    parser.add_argument("--documents", type=int, help="of the collection; default: all")
    parser.add_argument(
        "--part", type=int, default=500, help="documents that are loaded over and over"
    )
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument(
        "--exact-queries", type=int, default=5, help="that exact search answers, for each row"
    )
    parser.add_argument("--output", type=Path, default=RESULT)
    options: Namespace = parser.parse_args()
    return options


def _rows(bench: Bench, taken: Sequence[UserPath]) -> Iterator[list[str]]:
    prepared: dict[Callable[[Bench], Source], Source] = {}
    for user_path in taken:
        started = time.perf_counter()
        try:
            if user_path.prepare not in prepared:
                prepared[user_path.prepare] = user_path.prepare(bench)
            for row in user_path.measure(bench, prepared[user_path.prepare]):
                yield [
                    user_path.name,
                    row.case,
                    f"{len(row.source.documents):,}",
                    f"{row.source.tokens:,}",
                    *row.figures.cells(),
                    row.note,
                ]
        except MissingError as missing:
            yield [user_path.name, f"missing: {missing}"]
        except psycopg.Error as error:
            yield [user_path.name, f"failed: {str(error).splitlines()[0]}"]
        print(f"({user_path.name}: {time.perf_counter() - started:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
