"""Which part of a picture a vector stands for."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import isqrt
from typing import Any, NamedTuple


class Patch(NamedTuple):
    """The part of a picture that one vector stands for: a field of a grid that covers it.

    Rows and columns count from 1, from the top and from the left. A patch has no place in a text.
    """

    row: int
    column: int
    rows: int
    columns: int

    @property
    def text(self) -> str:
        return f"row {self.row}, column {self.column}"

    @property
    def start(self) -> None:
        return None

    @property
    def end(self) -> None:
        return None


def patches(features: Mapping[str, Any], count: int, processor: Any) -> list[Patch]:
    """The patches of a picture, in the order of their vectors.

    Args:
        features: what the model's processor made of one picture.
        count: how many of its tokens stand for the picture.
        processor: the processor, of transformers.

    Raises:
        ValueError: the tokens are no single grid, as with models that cut a picture into tiles.
    """
    rows, columns = _grid(features, count, processor)
    if not count or rows * columns != count:
        raise ValueError("the model does not tell which part of a picture a vector stands for")
    places = product(range(1, rows + 1), range(1, columns + 1))
    return [Patch(row, column, rows, columns) for row, column in places]


def _grid(features: Mapping[str, Any], count: int, processor: Any) -> tuple[int, int]:
    """Rows and columns of one grid that covers the picture; of none where there are more."""
    if "image_grid_thw" in features:  # as Qwen's models tell it: frames, rows, columns
        grids = features["image_grid_thw"].tolist()
        if len(grids) == 1 and grids[0][0] == 1:
            merged = processor.image_processor.merge_size
            return grids[0][1] // merged, grids[0][2] // merged
    elif features["pixel_values"].ndim == 4:  # picture, colour, row, column: of one square
        return isqrt(count), isqrt(count)
    return 0, 0
