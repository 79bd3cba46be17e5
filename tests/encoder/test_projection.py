"""The matrix that ships with the package, and the function that fits one."""

from __future__ import annotations

import numpy as np
import pytest

from colbert_pg.encoding._projection import default_projection, fit_projection


def test_the_shipped_matrix_has_orthonormal_columns() -> None:
    matrix = default_projection()
    assert matrix.shape == (384, 128)
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(128), atol=1e-5)


def test_fitting_finds_the_directions_of_most_length_strongest_first() -> None:
    generator = np.random.default_rng(0)
    basis = np.linalg.qr(generator.normal(size=(6, 6)))[0]
    spread = np.array([5, 3, 1, 0.1, 0.1, 0.1])
    documents = [
        (generator.normal(size=(200, 6)) * spread @ basis.T).astype(np.float32) for _ in range(5)
    ]
    matrix = fit_projection(documents, 3)
    cosines = np.einsum("ij,ij->j", matrix, basis[:, :3])
    np.testing.assert_allclose(np.abs(cosines), 1, atol=0.01)


def test_fewer_dimensions_are_the_leading_columns() -> None:
    documents = [np.random.default_rng(1).normal(size=(50, 6)).astype(np.float32)]
    np.testing.assert_array_equal(fit_projection(documents, 5)[:, :2], fit_projection(documents, 2))


def test_the_mean_is_a_direction_like_any_other() -> None:
    direction = np.array([0.6, 0.8], np.float32)
    constant = np.tile(direction, (10, 1))
    np.testing.assert_allclose(fit_projection([constant], 1)[:, 0], direction, atol=1e-6)


def test_nothing_to_fit_and_too_many_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        fit_projection([], 1)
    with pytest.raises(ValueError, match="projected to 3"):
        fit_projection([np.eye(2, dtype=np.float32)], 3)
