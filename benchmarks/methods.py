"""Every method of colbert_pg beside pgvector's example, other engines and brute force.

    python -m benchmarks.methods [--documents 1000] [--queries 50] [--only plaid fast-plaid ...]

One run on one machine: all contenders index the same vectors, then answer the same queries in
turns, ten queries at a time, so that a noisy moment hits all of them alike. Prints one table and
writes it to results/ with a plot: recall against latency, size against recall. What has been
measured is kept after every step, so that a run that is stopped still gives its table.

A contender that cannot take part is named with the reason. Truth is brute force on the same
vectors; a slow setting answers the first queries only, as many as --budget seconds allow.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import mean
from typing import NoReturn

import numpy as np
import psycopg

from benchmarks.contenders import (
    Contender,
    Example,
    Indexed,
    MissingError,
    Peer,
    ProcessError,
    Setting,
    fill,
    share,
)
from benchmarks.harness import CACHE, arguments, circumstances, database
from benchmarks.report import Entry, Measurement, Run, draw, written
from benchmarks.scifact import VECTORS, Collection, brute_force, collection, ndcg

RESULTS = Path(__file__).resolve().parent / "results"
BLOCK = 10  # queries that a setting answers before the next one's turn
CLIENTS = (2, 8)

FAST_PLAID = "fast-plaid==1.7.0.2110"
LANCEDB = "lancedb==0.40.0"
QDRANT = "qdrant-edge-py==0.9.0"


def effort(patience: int, **knobs: int) -> Setting:
    """Knobs of colbert_pg, with five times as many candidates at most as patience."""
    knobs |= {"patience": patience, "candidates": 5 * patience}
    return Setting({f"colbert.{name}": value for name, value in knobs.items()})


DEFAULT = Setting({}, typical=True)
HNSW = (effort(20, hits=50), effort(40, hits=50), DEFAULT, effort(80, hits=200))
IVFFLAT = (effort(20, nprobe=4), DEFAULT, effort(40, nprobe=16), effort(80, nprobe=32))
PLAID = (
    effort(10, nprobe=4),
    effort(20, nprobe=8),
    effort(20, nprobe=16),
    effort(30, nprobe=16),
    DEFAULT,
    effort(80, nprobe=32),
    effort(160, nprobe=64),
)
FAST_PLAID_SETTINGS = (
    Setting({"n_ivf_probe": 2, "n_full_scores": 256}),
    Setting({"n_ivf_probe": 4, "n_full_scores": 256}, typical=True),
    Setting({"n_ivf_probe": 4, "n_full_scores": 512}),
    Setting({"n_ivf_probe": 8, "n_full_scores": 1024}),
    Setting({}),
)
LANCEDB_SETTINGS = (
    Setting({"nprobes": 20, "refine_factor": 5}),
    Setting({"nprobes": 20, "refine_factor": 10}, typical=True),
    Setting({"nprobes": 20, "refine_factor": 20}),
    Setting({"nprobes": 20, "refine_factor": 50}),
)


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, _stop)
    whole = collection(options.documents, options.queries, options.cache)
    print(whole, flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="colbert_pg-benchmark-") as directory,
        database(options.url) as connection,
    ):
        print(circumstances(connection), flush=True)
        contenders = _contenders(options, whole, connection.info.dsn, Path(directory))
        share(whole, Path(directory))
        fill(connection, whole, options.element)
        print("documents loaded", flush=True)
        settings = f"{options.element}({whole.documents[0].shape[1]})[] columns, " + ", ".join(
            f"{name} {connection.execute(f'SHOW {name}').fetchone()[0]}"  # type: ignore[index]
            for name in ("shared_buffers", "maintenance_work_mem", "jit")
        )
        settings += f", index options {json.dumps(options.options)}" if options.options else ""
        measured = Measurement(str(whole), whole.tokens, circumstances(connection), settings)
        try:
            measure(contenders, whole, measured, options, lambda: _keep(measured))
            measured.finished = True
        except KeyboardInterrupt:
            print("stopped: what follows is what had been measured", flush=True)
        finally:
            for contender in contenders:
                contender.close()
            _keep(measured)
            _publish(measured, options.output)


def _options() -> Namespace:
    parser: ArgumentParser = arguments(__doc__)
    parser.add_argument("--documents", type=int, help="of the collection; default: all")
    parser.add_argument("--queries", type=int, help="of the collection; default: all")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="leave out all other contenders")
    parser.add_argument("--without", nargs="+", metavar="NAME", default=[], help="leave these out")
    parser.add_argument(
        "--budget", type=float, default=30, help="seconds of searching for each setting"
    )
    parser.add_argument(
        "--load", type=float, default=2, help="seconds under concurrent clients, each (0: none)"
    )
    parser.add_argument(
        "--options",
        type=json.loads,
        default={},
        help='of our indexes, by method: {"plaid": {"centroids": 8192}}',
    )
    parser.add_argument("--nbits", type=int, nargs="+", default=[4], help="of fast-plaid's index")
    parser.add_argument("--element", choices=["halfvec", "vector"], default="halfvec")
    parser.add_argument("--cache", type=Path, help=f"of encoded texts; default: {VECTORS}")
    parser.add_argument(
        "--output", type=Path, default=RESULTS / "methods", help="without .txt and .svg"
    )
    options: Namespace = parser.parse_args()
    return options


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _contenders(options: Namespace, whole: Collection, dsn: str, vectors: Path) -> list[Contender]:
    """All of them, in the order of the table, but for those that the options leave out."""
    indexed = {
        "exact": ((DEFAULT,), 1e7),
        "hnsw": (HNSW, 5_000),
        "ivfflat": (IVFFLAT, 20_000),
        "plaid": (PLAID, 15_000),
    }
    makers: dict[str, Callable[[], Contender]] = {
        "brute force": partial(Peer, "brute force", "blas", [], (DEFAULT,), 1e9, vectors),
        "Qdrant": partial(Peer, "Qdrant", "qdrant", [QDRANT, "numpy"], (DEFAULT,), 1e9, vectors),
        "example max_sim": partial(Example, dsn, whole),
    }
    for method, (settings, pace) in indexed.items():
        its_own = options.options.get(method, {})
        makers[method] = partial(Indexed, dsn, whole, method, settings, pace, its_own)
    makers["LanceDB"] = partial(
        Peer, "LanceDB", "lancedb", [LANCEDB], LANCEDB_SETTINGS, 10_000, vectors
    )
    for nbits in options.nbits:
        name = "fast-plaid" if options.nbits == [nbits] else f"fast-plaid {nbits} bits"
        makers[name] = partial(
            Peer,
            name,
            "fast_plaid",
            [FAST_PLAID],
            FAST_PLAID_SETTINGS,
            3_000,
            vectors,
            {"nbits": nbits},
        )
    unknown = {*(options.only or []), *options.without} - {*makers}
    if unknown:
        sys.exit(f"no contender {', '.join(unknown)}: there are {', '.join(makers)}")
    return [
        make()
        for name, make in makers.items()
        if name in (options.only or makers) and name not in options.without
    ]


def measure(
    contenders: Sequence[Contender],
    whole: Collection,
    measured: Measurement,
    options: Namespace,
    keep: Callable[[], None],
) -> None:
    """Build all, search in turns, then search under concurrent clients."""
    runs: list[tuple[Contender, Setting, Run]] = []
    for contender in contenders:
        about = whole.tokens / contender.tokens_a_second
        print(f"building {contender.name}, usually {about:.0f} s", flush=True)
        try:
            built = contender.build()
        except MissingError as missing:
            print(f"  {missing}", flush=True)
            measured.entries.append(Entry(contender.name, missing=str(missing)))
            continue
        print(
            f"  {built.seconds:.1f} s, {built.bytes / whole.tokens:.1f} bytes a token", flush=True
        )
        entry = Entry(contender.name, built.seconds, built.bytes, built.versions)
        measured.entries.append(entry)
        for chosen in contender.settings:
            for one_thread in (True, False) if chosen.typical else (True,):
                run = Run(str(chosen), one_thread)
                entry.runs.append(run)
                runs.append((contender, chosen, run))
        keep()
    _in_turns(runs, whole, options.budget, keep)
    if options.load:
        _under_load(runs, options.load, keep)


def _in_turns(
    runs: Sequence[tuple[Contender, Setting, Run]],
    whole: Collection,
    budget: float,
    keep: Callable[[], None],
) -> None:
    scores = brute_force(whole.documents, whole.queries)
    truth = np.argsort(-scores, axis=0, kind="stable")[:10].T.tolist()
    print("brute force knows the truth", flush=True)
    # To warm up, which also tells how many queries a run can afford.
    afford: dict[int, int] = {}
    for contender, chosen, run in runs:
        with _failing_alone(contender, run):
            first_ones = range(min(2, len(whole.queries)))
            seconds = min(contender.search(chosen, run.one_thread, first_ones).seconds)
            afford[id(run)] = max(5, int(budget / seconds))
    started = time.monotonic()
    for first in range(0, len(whole.queries), BLOCK):
        stop = min(first + BLOCK, len(whole.queries))
        for contender, chosen, run in runs:
            block = range(first, min(stop, afford.get(id(run), 0)))
            if not block or run.failed:
                continue
            with _failing_alone(contender, run):
                answers = contender.search(chosen, run.one_thread, block)
                run.seconds += answers.seconds
                run.cores = max(run.cores, answers.cores)
                for number, found in zip(block, answers.found, strict=True):
                    best = truth[number]
                    run.recall.append(len({*found} & {*best}) / len(best))
                    run.gain.append(ndcg(found, whole.judgements[number]))
                    run.exact_gain.append(ndcg(best, whole.judgements[number]))
        keep()
        left = sum(
            mean(run.seconds) * max(0, min(len(whole.queries), afford[id(run)]) - stop)
            for _, _, run in runs
            if run.seconds and not run.failed
        )
        print(
            f"  {stop} of {len(whole.queries)} queries in {time.monotonic() - started:.0f} s,"
            f" about {left:.0f} s to go",
            flush=True,
        )


def _under_load(
    runs: Sequence[tuple[Contender, Setting, Run]], seconds: float, keep: Callable[[], None]
) -> None:
    single = [(contender, chosen, run) for contender, chosen, run in runs if run.one_thread]
    processes = sum(2 if isinstance(contender, Peer) else 1 for contender, _, _ in single)
    about = processes * len(CLIENTS) * seconds
    print(f"under concurrent clients, at least {about:.0f} s", flush=True)
    for clients in CLIENTS:
        for contender, chosen, run in single:
            if run.failed:
                continue
            with _failing_alone(contender, run):
                rate = contender.throughput(chosen, clients, seconds)
                if rate is not None:
                    run.rates[str(clients)] = rate
            keep()


@contextmanager
def _failing_alone(contender: Contender, run: Run) -> Iterator[None]:
    """A setting that fails says so in the table, and the others go on."""
    try:
        yield
    except (ProcessError, psycopg.Error) as error:
        run.failed = str(error).splitlines()[0]
        print(f"  {contender.name}, {run.setting}: {run.failed}", flush=True)


def _keep(measured: Measurement) -> None:
    """What there is so far, for ``python -m benchmarks.report``."""
    CACHE.mkdir(parents=True, exist_ok=True)
    unfinished = CACHE / "methods.json.new"
    unfinished.write_text(measured.to_json())
    unfinished.rename(CACHE / "methods.json")


def _publish(measured: Measurement, output: Path) -> None:
    text = written(measured)
    print(f"\n{text}")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.with_suffix(".txt").write_text(text + "\n")
    if find_spec("matplotlib") is None:
        print("no plot: that takes matplotlib, the extra bench")
    else:
        draw(measured, output.with_suffix(".svg"))


if __name__ == "__main__":
    main()
