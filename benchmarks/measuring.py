"""How a search is measured: its time, exact search beside it, what it finds, scores and reads.

The yardstick is exact search as 0.2.0 did it in one process. Its statement is kept here, so that
ratios of later releases can be compared with those of earlier ones.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean, median
from typing import NamedTuple

import numpy as np

from benchmarks.harness import Connection, Server, setting, timed
from colbert_pg.vectors import Matrix, TokenArray

#: The columns that :meth:`Figures.cells` fills.
COLUMNS = ("ms", "p95", "times exact", "recall", "scored", "read")
ROUNDING = 1e-4  # between scores that NumPy and PostgreSQL add up


class Search(NamedTuple):
    """A search of a table, with all defaults but k and the filter."""

    table: str
    k: int = 10
    filter: str | None = None

    def scores(self, connection: Connection, query: Matrix) -> list[float]:
        """The scores that it finds, best first."""
        rows = connection.execute(
            f"SELECT score FROM colbert.search({self._arguments}) ORDER BY score DESC",
            self._values(query),
        )
        return [score for (score,) in rows]

    def counts(self, connection: Connection, query: Matrix) -> tuple[int, int]:
        """How many documents it scores, and how many rows of the index it reads."""
        stages = connection.execute(
            f"SELECT stage, documents, rows_read FROM colbert.explain_search({self._arguments})",
            self._values(query),
        ).fetchall()
        scored = sum(documents for stage, documents, _ in stages if stage in ("scores", "all"))
        return scored, sum(rows or 0 for _, _, rows in stages)

    def exact(self, yardstick: Connection, query: Matrix) -> list[float]:
        """The best scores of all documents, by the statement of 0.2.0."""
        tokens = range(1, len(query) + 1)
        terms = [f"min(d.token <#> (%(query)s::vector[])[{i}]::halfvec)" for i in tokens]
        groups = [" + ".join(terms[first : first + 16]) for first in range(0, len(terms), 16)]
        score = "0::float8 - " + " - ".join(f"({group})" for group in groups)
        condition = f" AND ({self.filter.replace('%', '%%')})" if self.filter else ""
        rows = yardstick.execute(
            "SELECT r.score FROM ("
            " SELECT s.id, m.score"
            f"  FROM (SELECT id, embeddings FROM {self.table}"
            f"         WHERE pg_column_size(embeddings) > 24{condition}) AS s"
            f" CROSS JOIN LATERAL (SELECT {score} AS score"
            "    FROM (SELECT unnest(s.embeddings) AS token) AS d) AS m"
            ") AS r ORDER BY r.score DESC, r.id LIMIT %(k)s",
            self._values(query),
            prepare=False,  # a plan for this query, in which its vectors are constants
        )
        return [score for (score,) in rows]

    @property
    def _arguments(self) -> str:
        named = ", filter => %(filter)s" if self.filter else ""
        return f"'{self.table}', %(query)s, k => %(k)s{named}"

    def _values(self, query: Matrix) -> dict[str, object]:
        return {"query": TokenArray(query), "k": self.k, "filter": self.filter}


def yardstick(server: Server) -> Connection:
    """A session in which exact search runs in one process."""
    connection = server.connect()
    setting(connection, "max_parallel_workers_per_gather", 0)
    setting(connection, "jit", "off")
    return connection


@dataclass
class Figures:
    """What was measured of a number of searches. Empty, or None, is not known.

    How many times faster than exact search is the median over the queries that both answered: of
    each query alone, since a longer one takes both longer.

    Attributes:
        seconds: of each search.
        exact_seconds: of exact search of the first of the same queries.
        recall: the mean share of the best k that was found.
        scored: documents, in the mean.
        read: rows of the index, in the mean.
    """

    seconds: list[float] = field(default_factory=list)
    exact_seconds: list[float] = field(default_factory=list)
    recall: float | None = None
    scored: float | None = None
    read: float | None = None

    def cells(self) -> list[str]:
        """Under :data:`COLUMNS`."""
        cells = ["-", "-", "-"]
        if self.seconds:
            cells[0] = f"{1e3 * median(self.seconds):.1f}"
            cells[1] = f"{1e3 * np.percentile(self.seconds, 95):.1f}"
        if self.seconds and self.exact_seconds:
            pairs = zip(self.exact_seconds, self.seconds, strict=False)
            cells[2] = f"{median(exact / search for exact, search in pairs):.1f}"
        cells.append("-" if self.recall is None else f"{self.recall:.3f}")
        cells += ["-" if n is None else f"{n:,.0f}" for n in (self.scored, self.read)]
        return cells


def share_found(scores: Matrix, found: Sequence[float], k: int) -> float:
    """The share of the k best scores that was found. Equal scores count alike.

    Args:
        scores: of all documents that the search may find.
        found: what it has found.
    """
    best = np.sort(scores)[::-1][:k]
    if not len(best):
        return 1.0
    good = sum(score >= float(best[-1]) - ROUNDING for score in found)
    return min(good, len(best)) / len(best)


def measured(
    search: Search,
    queries: Sequence[Matrix],
    scores: Matrix,
    connection: Connection,
    exact: Connection,
    exact_queries: int,
) -> Figures:
    """The figures of a search, query by query, each warm.

    A search is explained first, which warms what it reads. Exact search of the same query follows
    it for the first queries, so that a noisy moment hits both.

    Args:
        scores: of brute force, (documents, queries), of those documents that the search may find.
        connection: the session that searches.
        exact: the session of the yardstick.
        exact_queries: how many queries it answers.
    """
    figures = Figures()
    recall, scored, read = [], [], []
    for number, query in enumerate(queries):
        counts = search.counts(connection, query)
        scored.append(counts[0])
        read.append(counts[1])
        seconds, found = timed_search(search, connection, query)
        figures.seconds.append(seconds)
        recall.append(share_found(scores[:, number], found, search.k))
        if number < exact_queries:
            figures.exact_seconds.append(timed_exact(search, exact, query))
    figures.recall, figures.scored, figures.read = mean(recall), mean(scored), mean(read)
    return figures


def measured_hybrid(
    table: str,
    queries: Sequence[Matrix],
    questions: Sequence[str],
    connection: Connection,
    exact: Connection,
    exact_queries: int,
) -> Figures:
    """The figures of a hybrid search with the words of a column ``words``, each warm.

    Recall is against the same fusion with exact scores of all documents, for the first queries.

    Args:
        questions: the texts of the queries.
        connection: the session that searches.
        exact: the session that fuses exact scores.
        exact_queries: how many queries it answers.
    """
    statement = (
        f"SELECT doc_id FROM colbert.hybrid_search('{table}', %s, %s,"
        " content => 'words', language => 'english', exact => %s)"
    )
    figures = Figures()
    recall, read = [], []
    for number, (query, question) in enumerate(zip(queries, questions, strict=True)):
        values = (TokenArray(query), question)
        with connection.transaction():  # warms, and counts
            before = _rows_read(connection, table)
            connection.execute(statement, (*values, False))
            read.append(_rows_read(connection, table) - before)
        started = time.perf_counter()
        found = connection.execute(statement, (*values, False)).fetchall()
        figures.seconds.append(time.perf_counter() - started)
        if number < exact_queries:
            best = exact.execute(statement, (*values, True)).fetchall()
            recall.append(len({*found} & {*best}) / len(best))
    figures.recall, figures.read = mean(recall), mean(read)
    return figures


def _rows_read(connection: Connection, table: str) -> int:
    """Of the table's index, in this transaction so far."""
    statement = "SELECT colbert._rows_read(colbert._find_index(%s::regclass))"
    row = connection.execute(statement, (table,)).fetchone()
    assert row is not None
    return int(row[0])


def timed_search(
    search: Search, connection: Connection, query: Matrix
) -> tuple[float, list[float]]:
    """Seconds, and the scores that were found."""
    found: list[float] = []
    return timed(lambda: found.extend(search.scores(connection, query))), found


def timed_exact(search: Search, exact: Connection, query: Matrix) -> float:
    """Seconds of exact search of the same query."""
    return timed(lambda: search.exact(exact, query))
