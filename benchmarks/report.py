"""The table and the plot of a measurement of methods.py.

    python -m benchmarks.report [--output FILE]

methods.py prints both at its end. On its own this shows what the last run had measured, finished or
not, without measuring anything.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np

from benchmarks.harness import CACHE, table

#: Ours in blues and greens, peers in warm colours, the limits in grey: told apart by the
#: colour-blind, too.
COLOURS = {
    "plaid": "#0072b2",
    "hnsw": "#009e73",
    "ivfflat": "#56b4e9",
    "exact": "#1a1a1a",
    "fast-plaid": "#d55e00",
    "LanceDB": "#cc79a7",
    "example max_sim": "#b8860b",
    "brute force": "#8a8a8a",
}
OTHER = "#7a4fb5"


@dataclass
class Run:
    """One setting with one thread, or with as many as its engine starts by default.

    Seconds, recall@10, nDCG@10, and nDCG@10 of exact search: one number for each query, of the
    first queries. Rates are searches a second by the number of clients.
    """

    setting: str
    one_thread: bool
    seconds: list[float] = field(default_factory=list)
    recall: list[float] = field(default_factory=list)
    gain: list[float] = field(default_factory=list)
    exact_gain: list[float] = field(default_factory=list)
    cores: float = 0.0
    rates: dict[str, float] = field(default_factory=dict)
    failed: str = ""


@dataclass
class Entry:
    """A contender: what its index took, and its runs; or why it is missing."""

    name: str
    build_seconds: float = 0.0
    bytes: int = 0
    versions: str = ""
    missing: str = ""
    runs: list[Run] = field(default_factory=list)


@dataclass
class Measurement:
    """All that one run of methods.py found out."""

    collection: str
    tokens: int
    circumstances: str
    settings: str
    entries: list[Entry] = field(default_factory=list)
    finished: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Measurement:
        fields = json.loads(text)
        entries = [
            Entry(**{**entry, "runs": [Run(**run) for run in entry["runs"]]})
            for entry in fields.pop("entries")
        ]
        return Measurement(**fields, entries=entries)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--measurement", type=Path, default=CACHE / "methods.json")
    parser.add_argument("--output", type=Path, help="where to draw the plot: .svg or .png")
    options = parser.parse_args()
    measured = Measurement.from_json(options.measurement.read_text())
    print(written(measured))
    if options.output:
        draw(measured, options.output)


HEADER = (
    *("method", "setting", "threads", "build s", "B/token", "queries", "p50 ms", "p95 ms"),
    *("speed", "recall@10", "nDCG@10", "vs exact", "q/s 2", "q/s 8"),
)

NOTES = """\
build s: seconds to build the index on all cores, without loading the vectors.
B/token: bytes a token of what is kept beside the vectors; fast-plaid keeps no vectors, and this is
all that it keeps.
queries: how many were measured, the first ones; a slow setting answers fewer.
speed: of the median search, in times that of exact with one thread.
recall@10: against brute force on the same vectors.
nDCG@10: over the queries that the row measured; vs exact: less that of exact search on the same.
q/s: searches a second with 2 and with 8 concurrent clients, in PostgreSQL by pgbench, one process
for each; of peers by threads, with one thread a search or the default, whichever is faster."""


def written(measured: Measurement) -> str:
    """The table, between where it was measured and what its columns mean."""
    rows: list[Sequence[str]] = []
    baseline = _latency_of_exact(measured)
    for entry in measured.entries:
        if entry.missing:
            rows.append([entry.name, f"missing: {entry.missing}"])
        for number, run in enumerate(entry.runs):
            if run.failed or not run.seconds:
                said = f"failed: {run.failed}" if run.failed else "not measured"
                rows.append([entry.name, run.setting, said])
                continue
            latency = median(run.seconds)
            ours = number == 0
            rows.append(
                [
                    entry.name,
                    run.setting,
                    "one" if run.one_thread else "default",
                    f"{entry.build_seconds:.0f}" if ours else "",
                    f"{entry.bytes / measured.tokens:.0f}" if ours else "",
                    f"{len(run.seconds)}",
                    f"{latency * 1e3:.1f}",
                    f"{np.percentile(run.seconds, 95) * 1e3:.1f}",
                    f"{baseline / latency:.1f}x" if baseline else "",
                    f"{mean(run.recall):.4f}",
                    f"{mean(run.gain):.4f}",
                    f"{mean(run.gain) - mean(run.exact_gain):+.4f}",
                    *(f"{run.rates[c]:.1f}" if c in run.rates else "" for c in ("2", "8")),
                ]
            )
    busy = [
        f"{entry.name} kept {run.cores:.1f} cores busy in its one-thread runs"
        for entry in measured.entries
        for run in entry.runs
        if run.one_thread and run.cores > 1.15
    ]
    versions = [entry.versions for entry in measured.entries if entry.versions]
    return "\n".join(
        [
            "; ".join([measured.circumstances, *dict.fromkeys(versions)]),
            f"{_processor()}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}",
            measured.collection,
            measured.settings,
            *([] if measured.finished else ["NOT FINISHED: stopped, or still running"]),
            "",
            table(HEADER, rows),
            "",
            NOTES,
            *dict.fromkeys(busy),
        ]
    )


def _latency_of_exact(measured: Measurement) -> float | None:
    for entry in measured.entries:
        for run in entry.runs:
            if entry.name == "exact" and run.one_thread and run.seconds:
                return median(run.seconds)
    return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "?")


def draw(measured: Measurement, path: Path) -> None:
    """Two panels of the one-thread runs: recall against latency, and size against recall."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "colbert_pg", "font.size": 10})
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5.2), layout="constrained")
    sizes: list[tuple[float, float, str]] = []
    for entry in measured.entries:
        points = [
            (mean(run.recall), median(run.seconds) * 1e3)
            for run in entry.runs
            if run.one_thread and run.seconds and not run.failed
        ]
        if not points:
            continue
        colour = COLOURS.get(entry.name, OTHER)
        edge = _edge(points)
        left.plot(*zip(*points, strict=True), "o", color=colour, markersize=5, alpha=0.35)
        left.plot(*zip(*edge, strict=True), "o-", color=colour, markersize=5.5, label=entry.name)
        size = max(entry.bytes / measured.tokens, 1.0)
        recalls = [recall for recall, _ in points]
        right.plot([size, size], [min(recalls), max(recalls)], "-", color=colour, linewidth=1.8)
        right.plot([size] * len(recalls), recalls, "o", color=colour, markersize=5.5)
        sizes.append((size, min(recalls), entry.name))
    _label(right, sizes)
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    left.set(yscale="log", xlabel="recall@10", ylabel="median latency in ms (less is better)")
    left.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    left.yaxis.set_major_formatter(plain)
    left.yaxis.set_minor_formatter(NullFormatter())
    left.set_title("Recall and latency, one thread", loc="left")
    right.set(
        xscale="log", xlabel="bytes a token beside the vectors (less is better)", ylabel="recall@10"
    )
    right.set_xlim(0.4, 3000)
    right.margins(y=0.14)
    right.xaxis.set_major_formatter(FuncFormatter(lambda v, _: "none" if v == 1 else f"{v:g}"))
    right.set_title("Size and recall", loc="left")
    for panel in (left, right):
        panel.grid(color="#e4e4e4", linewidth=0.8)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False, loc="best")
    figure.suptitle(measured.collection, fontsize=11, x=0.01, ha="left", color="#555555")
    figure.savefig(path, facecolor="white", dpi=150)
    plt.close(figure)


def _edge(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points (recall, latency) than which no other is both better and faster, by latency."""
    edge: list[tuple[float, float]] = []
    for recall, latency in sorted(points, key=lambda point: (point[1], -point[0])):
        if not edge or recall > edge[-1][0]:
            edge.append((recall, latency))
    return edge


def _label(panel: Any, sizes: list[tuple[float, float, str]]) -> None:
    """Names below the points; those of one size together, neighbours to either side."""
    names: dict[float, list[str]] = {}
    lowest: dict[float, float] = {}
    for size, recall, name in sizes:
        names.setdefault(size, []).append(name)
        lowest[size] = min(recall, lowest.get(size, recall))
    for size in names:
        close_above = any(size < other < 3 * size for other in names)
        close_below = any(size / 3 < other < size for other in names)
        side = "right" if close_above else "left" if close_below else "center"
        panel.annotate(
            "\n".join(names[size]),
            (size, lowest[size]),
            xytext=(0, -7),
            textcoords="offset points",
            ha=side,
            va="top",
            color=COLOURS.get(names[size][0], OTHER) if len(names[size]) == 1 else "#333333",
        )


if __name__ == "__main__":
    main()
