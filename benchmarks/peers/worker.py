"""The loop of a process that runs one peer, under that peer's own Python.

Requests come as a line of JSON each on stdin, answers go the same way to stdout; whatever the
library prints goes to stderr. Only NumPy is needed beside the peer. A request names one of
:class:`Worker`'s methods and its arguments.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


class Engine(Protocol):
    """What a peer has to offer. Documents are known by their position."""

    def versions(self) -> str:
        """What is running, for the results."""

    def load(self, directory: Path, documents: Sequence[Vectors]) -> None:
        """Take in the documents, before :meth:`build`, whose time counts. The directory is new."""

    def build(self, *args: Any, **options: Any) -> int:
        """Index the documents; bytes of what is kept beside their vectors."""

    def open(self, directory: Path, documents: Sequence[Vectors]) -> None:
        """Make ready to search what was built there."""

    def search(self, query: Vectors, *args: Any, **setting: Any) -> list[int]:
        """The ten best documents, best first."""


class Worker:
    """Answers requests with an engine and the vectors of a collection."""

    def __init__(self, engine: Engine, vectors: Path) -> None:
        self.engine = engine
        self.documents = _matrices(vectors / "documents")
        self.queries = _matrices(vectors / "queries")

    def build(self, directory: str, options: dict[str, Any]) -> dict[str, Any]:
        self.engine.load(Path(directory), self.documents)
        started = time.perf_counter()
        size = self.engine.build(**options)
        return {"seconds": time.perf_counter() - started, "bytes": size}

    def open(self, directory: str) -> dict[str, Any]:
        self.engine.open(Path(directory), self.documents)
        return {"versions": self.engine.versions()}

    def search(self, queries: list[int], setting: dict[str, Any]) -> dict[str, Any]:
        found, seconds = [], []
        cpu = time.process_time()
        for number in queries:
            started = time.perf_counter()
            found.append(self.engine.search(self.queries[number], **setting))
            seconds.append(time.perf_counter() - started)
        return {"found": found, "seconds": seconds, "cpu": time.process_time() - cpu}

    def throughput(self, clients: int, seconds: float, setting: dict[str, Any]) -> dict[str, Any]:
        """Searches a second of so many threads; each finishes what it began in time."""
        started = time.perf_counter()
        done = [0] * clients

        def client(number: int) -> None:
            position = number
            while time.perf_counter() < started + seconds:
                self.engine.search(self.queries[position % len(self.queries)], **setting)
                position += clients
                done[number] += 1

        threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"rate": sum(done) / (time.perf_counter() - started)}


def serve(engine: Engine) -> None:
    """Answer until stdin ends. The one command-line argument is the directory of the vectors."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(engine, Path(sys.argv[1]))
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(worker, request.pop("do"))(**request)
        print(json.dumps(answer), file=answers, flush=True)


def bytes_in(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def save(path: Path, matrices: Sequence[Vectors]) -> None:
    """Write matrices where :class:`Worker` finds them."""
    np.save(path.with_suffix(".npy"), np.concatenate(matrices))
    np.save(path.with_suffix(".lengths.npy"), [len(matrix) for matrix in matrices])


def _matrices(path: Path) -> list[Vectors]:
    """The matrices that :func:`save` wrote, as views of one memory map."""
    rows = np.load(path.with_suffix(".npy"), mmap_mode="r")
    ends = np.cumsum(np.load(path.with_suffix(".lengths.npy")))
    return np.split(np.asarray(rows), ends[:-1])
