"""Fewer dimensions a token, with the dot products that MaxSim adds up kept as well as possible.

The matrix that ships with the package belongs to the default model. benchmarks/fit_projection.py
made it, from documentation strings of Python's standard library.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources

import numpy as np
import numpy.typing as npt

from colbert_pg.vectors import Matrix

DEFAULT_PROJECTION = "all_minilm_l6_v2_projection.npy"


def fit_projection(documents: Iterable[Matrix], dimensions: int) -> Matrix:
    """The directions that carry most of the token vectors' squared length, strongest first.

    This is a principal component analysis without centring: the leading right singular vectors of
    all tokens. Projecting is then linear, so that dot products survive; subtracting a mean first
    would change them all. The leading columns are the best matrix of fewer dimensions.

    Args:
        documents: arrays (tokens, hidden size); every token counts the same.
        dimensions: columns of the result, at most the hidden size.

    Returns:
        float32 array (hidden size, dimensions), orthonormal columns, the sign of each chosen so
        that its largest entry is positive.

    Raises:
        ValueError: without documents, or for more dimensions than there are.
    """
    moments: npt.NDArray[np.float64] | None = None
    for document in documents:
        vectors = document.astype(np.float64)
        moments = vectors.T @ vectors + (0 if moments is None else moments)
    if moments is None:
        raise ValueError("a projection is fitted to at least one document")
    if not 1 <= dimensions <= len(moments):
        raise ValueError(f"{len(moments)} dimensions cannot be projected to {dimensions}")
    directions = np.linalg.eigh(moments).eigenvectors[:, ::-1][:, :dimensions]
    largest = directions[np.abs(directions).argmax(axis=0), np.arange(dimensions)]
    return np.ascontiguousarray(directions * np.sign(largest), dtype=np.float32)


def default_projection() -> Matrix:
    """The default model's matrix: float32 array (384, 128), orthonormal columns."""
    with resources.files(__package__).joinpath(DEFAULT_PROJECTION).open("rb") as file:
        matrix: Matrix = np.load(file, allow_pickle=False)
    return matrix
