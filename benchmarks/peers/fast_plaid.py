"""fast-plaid: the PLAID engine in Rust, with residuals of a few bits, on the CPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from fast_plaid.search import FastPlaid

from benchmarks.peers.worker import Vectors, bytes_in, serve

if "OMP_NUM_THREADS" in os.environ:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


class FastPlaidEngine:
    """Keeps centroids, codes and residuals; vectors come back only as near as those allow."""

    def versions(self) -> str:
        return f"fast-plaid {version('fast-plaid')}, torch {torch.__version__}"

    def load(self, directory: Path, documents: Sequence[Vectors]) -> None:
        self.directory = directory
        self.documents = [torch.tensor(document) for document in documents]

    def build(self, nbits: int) -> int:
        index = FastPlaid(index=str(self.directory), device="cpu")
        index.create(self.documents, nbits=nbits, start_from_scratch=0)
        return bytes_in(self.directory)

    def open(self, directory: Path, documents: Sequence[Vectors]) -> None:
        self.index = FastPlaid(index=str(directory), device="cpu")

    def search(self, query: Vectors, **setting: Any) -> list[int]:
        (hits,) = self.index.search(
            torch.tensor(query)[None], top_k=10, show_progress=False, **setting
        )
        return [document for document, _ in hits]


if __name__ == "__main__":
    serve(FastPlaidEngine())
