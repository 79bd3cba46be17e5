"""How latency at the same recall grows with the collection.

    python -m benchmarks.scaling [--sizes 5000 15000 50000] [--method plaid] [--recall 0.95]

SciFact's documents come first, then documents made of them (benchmarks/growth.py), streamed into
one table. At each size the index is built anew and every setting measured in one process; the
latency at a recall is read off the line between the two nearest settings on the edge of what they
reach.
Exact search of a few queries is the baseline. The last table has each size in times of the first.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from itertools import chain, islice, product
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

import numpy as np

from benchmarks.contenders import Indexed, MissingError, fill
from benchmarks.growth import more_documents
from benchmarks.harness import arguments, circumstances, database, table
from benchmarks.methods import DEFAULT, effort
from benchmarks.scifact import VECTORS, brute_force, collection
from colbert_pg.client import Client
from colbert_pg.vectors import Matrix

RESULT = Path(__file__).resolve().parent / "results" / "scaling.txt"
CHUNK = 500  # documents that are made, loaded and compared at a time
GRIDS = {
    "exact": [DEFAULT],
    "hnsw": [effort(p, hits=h) for h, p in product((50, 100, 200), (20, 40, 80))],
    "ivfflat": [effort(p, nprobe=n) for n, p in product((4, 8, 16), (20, 40, 80))],
    "plaid": [effort(p, nprobe=n) for n, p in product((8, 16, 32, 64), (10, 20, 40, 80, 160))],
}


class Point(NamedTuple):
    """A setting at one size."""

    setting: str
    recall: float
    seconds: float


class Size(NamedTuple):
    """What was measured at one size."""

    documents: int
    tokens: int
    load_seconds: float
    build_seconds: float
    bytes: int
    exact_seconds: float
    points: list[Point]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5000, 15000, 50000])
    parser.add_argument("--real", type=int, help="real documents to start with; default: all")
    parser.add_argument("--tokens", type=int, help="cut documents to so many tokens; default: none")
    parser.add_argument("--method", choices=GRIDS, default="plaid")
    parser.add_argument("--recall", type=float, nargs="+", default=[0.95, 0.98])
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--exact-queries", type=int, default=5)
    parser.add_argument("--cache", type=Path, help=f"of encoded texts; default: {VECTORS}")
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()

    whole = collection(options.real, options.queries, options.cache)
    whole = whole._replace(documents=[d[: options.tokens] for d in whole.documents])
    source = chain(whole.documents, more_documents(whole.documents))
    with database(options.url) as connection:
        head = [
            circumstances(connection),
            f"{whole.name}, from {len(whole.documents):,} documents on made of them; "
            + (f"their first {options.tokens} tokens, " if options.tokens else "")
            + f"{len(whole.queries)} queries, {options.method}",
        ]
        print("\n".join(head), flush=True)
        fill(connection, whole._replace(documents=[]), "halfvec")
        contender = Indexed(
            connection.info.dsn, whole, options.method, GRIDS[options.method], 20_000
        )
        sizes: list[Size] = []
        try:
            for size in _measured(contender, source, sorted(options.sizes), options.exact_queries):
                sizes.append(size)
                text = "\n".join([*head, "", _settings(sizes), "", _summary(sizes, options.recall)])
                options.output.write_text(text + "\n")  # after each size: nothing is lost
        except MissingError as missing:
            sys.exit(str(missing))
        finally:
            contender.close()
    print(f"\n{text}")


def _measured(
    contender: Indexed, source: Iterator[Matrix], sizes: Sequence[int], exact_queries: int
) -> Iterator[Size]:
    queries = contender.collection.queries
    truth = Truth(queries)
    contender.drop_index()
    contender.copy_documents()  # none yet: makes the table
    client = Client(contender.connection)
    tokens, load_seconds = 0, 0.0
    for size in sizes:
        contender.drop_index()
        while len(truth) < size:
            some = list(islice(source, min(CHUNK, size - len(truth))))
            keys = range(len(truth), len(truth) + len(some))
            started = time.perf_counter()
            client.add(contender.table, keys=keys, embeddings=some)
            load_seconds += time.perf_counter() - started
            truth.add(some)
            tokens += sum(map(len, some))
        contender.connection.execute(f"VACUUM ANALYZE {contender.table}")
        print(f"{size:,} documents loaded, building {contender.name}", flush=True)
        built = contender.create_index()
        print(f"  {built.seconds:.0f} s, {tokens / built.seconds:,.0f} tokens/s", flush=True)
        points = []
        for chosen in contender.settings:
            contender.search(chosen, True, range(min(3, len(queries))))
            answers = contender.search(chosen, True, range(len(queries)))
            recall = mean(
                len({*found} & {*best}) / len(best)
                for found, best in zip(answers.found, truth.best, strict=True)
            )
            points.append(Point(str(chosen), recall, median(answers.seconds)))
            print(f"  {chosen}: {recall:.4f}, {points[-1].seconds * 1e3:.1f} ms", flush=True)
        exact = contender.exact(range(exact_queries))
        yield Size(
            size, tokens, load_seconds, built.seconds, built.bytes, median(exact.seconds), points
        )


class Truth:
    """The ten best documents of each query among all that were added, by brute force."""

    def __init__(self, queries: Sequence[Matrix]) -> None:
        self.queries = queries
        self.scores = np.empty((0, len(queries)), dtype=np.float32)
        self.keys = np.empty((0, len(queries)), dtype=np.int64)
        self.added = 0

    def __len__(self) -> int:
        return self.added

    def add(self, documents: Sequence[Matrix]) -> None:
        scores = np.concatenate([self.scores, brute_force(documents, self.queries)])
        new = np.arange(self.added, self.added + len(documents))[:, None]
        keys = np.concatenate([self.keys, np.broadcast_to(new, (len(new), len(self.queries)))])
        order = np.argsort(-scores, axis=0, kind="stable")[:10]
        self.scores = np.take_along_axis(scores, order, axis=0)
        self.keys = np.take_along_axis(keys, order, axis=0)
        self.added += len(documents)

    @property
    def best(self) -> list[list[int]]:
        best: list[list[int]] = self.keys.T.tolist()
        return best


def at_recall(points: Sequence[Point], recall: float) -> float | None:
    """Seconds at a recall: on the line between the two nearest points of the fastest ones.

    None if no point reaches it; the fastest one's seconds if all do.
    """
    edge: list[Point] = []
    for point in sorted(points, key=lambda point: (point.seconds, -point.recall)):
        if not edge or point.recall > edge[-1].recall:
            edge.append(point)
    below = [point for point in edge if point.recall < recall]
    above = [point for point in edge if point.recall >= recall]
    if not above:
        return None
    if not below:
        return above[0].seconds
    slope = (above[0].seconds - below[-1].seconds) / (above[0].recall - below[-1].recall)
    return below[-1].seconds + slope * (recall - below[-1].recall)


def _settings(sizes: Sequence[Size]) -> str:
    rows = [
        [f"{size.documents:,}", point.setting, f"{point.recall:.4f}", f"{point.seconds * 1e3:.1f}"]
        for size in sizes
        for point in size.points
    ]
    return table(["documents", "setting", "recall@10", "p50 ms"], rows)


def _summary(sizes: Sequence[Size], recalls: Sequence[float]) -> str:
    header = ["documents", "tokens", "COPY tokens/s", "build s", "build tokens/s", "B/token"]
    header += ["exact ms", "times"]
    for recall in recalls:
        header += [f"ms at {recall:g}", "times"]
    rows = []
    for size in sizes:
        row = [
            f"{size.documents:,}",
            f"{size.tokens:,}",
            f"{size.tokens / size.load_seconds:,.0f}",
            f"{size.build_seconds:.0f}",
            f"{size.tokens / size.build_seconds:,.0f}",
            f"{size.bytes / size.tokens:.0f}",
            f"{size.exact_seconds * 1e3:.0f}",
            f"{size.exact_seconds / sizes[0].exact_seconds:.1f}",
        ]
        for recall in recalls:
            here, first = at_recall(size.points, recall), at_recall(sizes[0].points, recall)
            row.append("not reached" if here is None else f"{here * 1e3:.1f}")
            row.append("-" if here is None or first is None else f"{here / first:.1f}")
        rows.append(row)
    return table(header, rows)


if __name__ == "__main__":
    main()
