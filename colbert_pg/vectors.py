"""Matrices of token vectors as PostgreSQL's binary arrays, and back.

A document or a query is a float32 array (tokens, dimensions). In the database it is a ``vector[]``,
a ``halfvec[]`` or, by its signs, a ``bit[]``. psycopg would send a list of vectors as text, number
by number; here the whole array goes through NumPy at once, in the binary format of the server.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format

from colbert_pg.catalog import BIT, BIT_ARRAY, VECTOR_TYPES, VectorTypes

__all__ = [
    "VECTOR_TYPES",
    "BitTokenArray",
    "HalfTokenArray",
    "Matrix",
    "TokenArray",
    "VectorTypes",
    "as_matrix",
    "dump_array",
    "dump_bits",
    "literal",
    "load_array",
    "of_bits",
    "register",
]

Matrix = npt.NDArray[np.float32]

_HEADER = np.dtype([("dimensions", ">i4"), ("nulls", ">i4"), ("element", ">u4")])
_AXIS = np.dtype([("length", ">i4"), ("lower", ">i4")])


class TokenArray:
    """A matrix of token vectors on its way into a statement, as ``vector[]``.

    Args:
        matrix: (tokens, dimensions), or anything that NumPy makes such a float32 array of.

    Raises:
        ValueError: for anything that is not two-dimensional.
    """

    __slots__ = ("matrix",)

    def __init__(self, matrix: npt.ArrayLike) -> None:
        self.matrix = as_matrix(matrix)


class HalfTokenArray(TokenArray):
    """The same as ``halfvec[]``: psycopg chooses by class."""

    __slots__ = ()


class BitTokenArray(TokenArray):
    """The same as ``bit[]``: a bit for each number, set where it is positive."""

    __slots__ = ()


def as_matrix(vectors: npt.ArrayLike) -> Matrix:
    """A float32 array (tokens, dimensions) of whatever holds one vector per token.

    Raises:
        TypeError: for text, and whatever else no numbers can be made of.
        ValueError: if the shape is another one.
    """
    try:
        given = np.asarray(vectors)
    except ValueError as error:
        raise ValueError("token vectors have one length each; these differ") from error
    if given.dtype.kind in "SU":
        raise TypeError("token vectors are expected, an array (tokens, dimensions), not text")
    try:
        matrix = given.astype(np.float32, copy=False)
    except (TypeError, ValueError) as error:
        raise TypeError(
            "token vectors are expected, an array (tokens, dimensions) of numbers, "
            f"not {type(vectors).__name__}"
        ) from error
    if matrix.ndim != 2:
        raise ValueError(f"token vectors have the shape (tokens, dimensions), not {matrix.shape}")
    return matrix


def dump_array(matrix: Matrix, element: int, *, half: bool = False) -> bytes:
    """The binary form of a one-dimensional array of vectors.

    Args:
        matrix: float32 (tokens, dimensions); no tokens give the empty array.
        element: object identifier of ``vector``, or of ``halfvec`` with ``half``.
        half: two bytes a number, not four.
    """
    tokens, dimensions = matrix.shape
    header = np.array((int(tokens > 0), 0, element), dtype=_HEADER).tobytes()
    if tokens == 0:
        return header
    elements = np.empty(tokens, dtype=_element(dimensions, half))
    elements["bytes"] = elements.dtype.itemsize - 4
    elements["dimensions"] = dimensions
    elements["unused"] = 0
    elements["numbers"] = matrix
    return header + np.array((tokens, 1), dtype=_AXIS).tobytes() + elements.tobytes()


def dump_bits(matrix: Matrix) -> bytes:
    """The binary form of a one-dimensional array of bits: the signs of the vectors."""
    tokens, dimensions = matrix.shape
    header = np.array((int(tokens > 0), 0, BIT), dtype=_HEADER).tobytes()
    if tokens == 0:
        return header
    packed = np.packbits(matrix > 0, axis=1)
    element = [("bytes", ">i4"), ("length", ">i4"), ("bits", "u1", (packed.shape[1],))]
    elements = np.empty(tokens, dtype=element)
    elements["bytes"] = elements.dtype.itemsize - 4
    elements["length"] = dimensions
    elements["bits"] = packed
    return header + np.array((tokens, 1), dtype=_AXIS).tobytes() + elements.tobytes()


def of_bits(strings: Sequence[str]) -> Matrix:
    """The unit vectors that have these strings of bits as their signs, (0, 0) for none of them."""
    if not strings:
        return np.empty((0, 0), dtype=np.float32)
    drawn = np.array([list(map(int, string)) for string in strings], dtype=np.float32)
    unit: Matrix = (2 * drawn - 1) / np.sqrt(np.float32(drawn.shape[1]))
    return unit


def literal(matrix: Matrix) -> str:
    """The array as SQL writes it: ``{"[1,0]","[0.6,0.8]"}``; every number comes back the same."""
    rows = (",".join(map(str, row)) for row in matrix.astype(np.float32))
    return "{" + ",".join(f'"[{row}]"' for row in rows) + "}"


def load_array(data: Buffer, *, half: bool = False) -> Matrix:
    """The matrix that :func:`dump_array` wrote; (0, 0) for the empty array.

    Raises:
        ValueError: if the array has NULL elements, more than one dimension, or vectors of different
            dimensions: no matrix can hold it.
    """
    axes, nulls, _ = np.frombuffer(data, _HEADER, count=1)[0]
    if axes == 0:
        return np.empty((0, 0), dtype=np.float32)
    if axes != 1 or nulls:
        raise ValueError("the array has NULL elements or more than one dimension")
    start = _HEADER.itemsize + _AXIS.itemsize
    tokens = int(np.frombuffer(data, _AXIS, count=1, offset=_HEADER.itemsize)[0]["length"])
    dimensions = int(np.frombuffer(data, ">i2", count=1, offset=start + 4)[0])
    kind = _element(dimensions, half)
    if len(data) - start != tokens * kind.itemsize:
        raise ValueError("the array has vectors of different dimensions")
    elements = np.frombuffer(data, kind, count=tokens, offset=start)
    if not bool((elements["dimensions"] == dimensions).all()):
        raise ValueError("the array has vectors of different dimensions")
    return elements["numbers"].astype(np.float32)


def register(context: AdaptContext, types: VectorTypes) -> None:
    """Let a connection or cursor send :class:`TokenArray`, :class:`HalfTokenArray` and
    :class:`BitTokenArray`, and return every ``vector[]`` and ``halfvec[]`` in a binary result as a
    float32 matrix.

    Args:
        context: a psycopg connection or cursor.
        types: the row of :data:`VECTOR_TYPES` of that database.
    """
    dumper, half_dumper, loader, half_loader = _adapters(types)
    context.adapters.register_dumper(TokenArray, dumper)
    context.adapters.register_dumper(HalfTokenArray, half_dumper)
    context.adapters.register_dumper(BitTokenArray, BitArrayDumper)
    context.adapters.register_loader(types.vector_array, loader)
    context.adapters.register_loader(types.halfvec_array, half_loader)


class BitArrayDumper(Dumper):
    """psycopg's dumper of :class:`BitTokenArray`."""

    format = Format.BINARY
    oid = BIT_ARRAY

    def dump(self, obj: BitTokenArray) -> bytes:
        return dump_bits(obj.matrix)


@lru_cache
def _element(dimensions: int, half: bool) -> np.dtype[Any]:
    number = ">f2" if half else ">f4"
    return np.dtype(
        [
            ("bytes", ">i4"),
            ("dimensions", ">i2"),
            ("unused", ">i2"),
            ("numbers", number, (dimensions,)),
        ]
    )


@lru_cache
def _adapters(
    types: VectorTypes,
) -> tuple[type[Dumper], type[Dumper], type[Loader], type[Loader]]:
    class VectorArrayDumper(Dumper):
        format = Format.BINARY
        oid = types.vector_array

        def dump(self, obj: TokenArray) -> bytes:
            return dump_array(obj.matrix, types.vector)

    class HalfvecArrayDumper(Dumper):
        format = Format.BINARY
        oid = types.halfvec_array

        def dump(self, obj: TokenArray) -> bytes:
            return dump_array(obj.matrix, types.halfvec, half=True)

    class VectorArrayLoader(Loader):
        format = Format.BINARY

        def load(self, data: Buffer) -> Matrix:
            return load_array(data)

    class HalfvecArrayLoader(Loader):
        format = Format.BINARY

        def load(self, data: Buffer) -> Matrix:
            return load_array(data, half=True)

    return VectorArrayDumper, HalfvecArrayDumper, VectorArrayLoader, HalfvecArrayLoader
