"""Token vectors in PostgreSQL's binary format."""

from __future__ import annotations

import numpy as np
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from psycopg.adapt import PyFormat
from psycopg.pq import Format

from colbert_pg.vectors import (
    VECTOR_TYPES,
    BitTokenArray,
    HalfTokenArray,
    Matrix,
    TokenArray,
    VectorTypes,
    dump_array,
    dump_bits,
    load_array,
    of_bits,
    register,
)

MATRIX = np.array([[1.5, -2.0, 0.25], [0.0, 3.0, -1.0]], dtype=np.float32)
AS_TEXT = '{"[1.5,-2,0.25]","[0,3,-1]"}'

matrices = st.tuples(st.integers(1, 20), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-(2.0**99), 2.0**99, width=32))
)


def types_of(connection: psycopg.Connection) -> VectorTypes:
    row = connection.execute(VECTOR_TYPES).fetchone()
    assert row is not None
    return VectorTypes(*row)


@settings(deadline=None)
@given(matrices)
def test_what_was_dumped_loads_unchanged(matrix: Matrix) -> None:
    np.testing.assert_array_equal(load_array(dump_array(matrix, 1)), matrix)


def test_halfvec_rounds_to_two_bytes_and_no_further() -> None:
    matrix = np.array([[1 / 3, 0.5]], dtype=np.float32)
    loaded = load_array(dump_array(matrix, 1, half=True), half=True)
    np.testing.assert_array_equal(loaded, matrix.astype(np.float16).astype(np.float32))


@settings(deadline=None)
@given(matrices)
def test_bits_that_were_dumped_are_the_signs(matrix: Matrix) -> None:
    dumped = dump_bits(matrix)
    strings = ["".join("1" if number > 0 else "0" for number in row) for row in matrix]
    bytes_of_rows = [
        int(s.ljust(-len(s) % 8 + len(s), "0"), 2).to_bytes(-(-len(s) // 8)) for s in strings
    ]
    assert all(row in dumped for row in bytes_of_rows)
    np.testing.assert_array_equal(of_bits(strings) > 0, matrix > 0)


def test_bits_are_stored_as_postgresql_writes_them(connection: psycopg.Connection) -> None:
    register(connection, types_of(connection))
    for matrix, text in ((MATRIX, "{101,010}"), (MATRIX[:0], "{}")):
        row = connection.execute("SELECT %s::text", [BitTokenArray(matrix)]).fetchone()
        assert row == (text,)


def test_array_without_tokens_loads_as_no_rows() -> None:
    assert load_array(dump_array(np.empty((0, 3), dtype=np.float32), 1)).shape == (0, 0)


@pytest.mark.parametrize("given", [[1.0, 2.0], [[[1.0]]], 1.0])
def test_anything_but_a_matrix_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="shape"):
        TokenArray(given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "type_name"), [(TokenArray, "vector"), (HalfTokenArray, "halfvec")]
)
def test_server_reads_the_vectors_that_were_sent_and_sends_them_back(
    connection: psycopg.Connection, kind: type[TokenArray], type_name: str
) -> None:
    cursor = connection.cursor(binary=True)
    register(cursor, types_of(connection))
    cursor.execute(
        f"SELECT $1 = '{AS_TEXT}'::{type_name}[], $1, pg_typeof($1)::text".replace("$1", "%(m)s"),
        {"m": kind(MATRIX)},
    )
    row = cursor.fetchone()
    assert row is not None
    equal, back, name = row
    assert equal
    assert name == f"{type_name}[]"
    np.testing.assert_array_equal(back, MATRIX)


def test_vectors_are_sent_in_binary_without_asking(connection: psycopg.Connection) -> None:
    register(connection, types_of(connection))
    dumper = connection.adapters.get_dumper(TokenArray, PyFormat.AUTO)
    assert dumper.format == Format.BINARY


@pytest.mark.parametrize(
    "array",
    ["ARRAY['[1,2]', NULL]", "ARRAY['[1,2]', '[1,2,3]']", "ARRAY[ARRAY['[1]'], ARRAY['[2]']]"],
)
def test_array_that_no_matrix_can_hold_is_an_error(
    connection: psycopg.Connection, array: str
) -> None:
    cursor = connection.cursor(binary=True)
    register(cursor, types_of(connection))
    cursor.execute(f"SELECT {array}::vector[]")
    with pytest.raises(ValueError, match="array has"):
        cursor.fetchone()


def test_pgvector_is_found_in_any_schema(bare_database: str) -> None:
    with psycopg.connect(bare_database) as connection:
        assert connection.execute(VECTOR_TYPES).fetchone() is None
        connection.execute('CREATE SCHEMA "We ird"')
        connection.execute('CREATE EXTENSION vector SCHEMA "We ird"')
        connection.execute("CREATE DOMAIN vector AS text")  # not pgvector's
        cursor = connection.cursor()
        register(cursor, types_of(connection))
        cursor.execute('SELECT (%s)[1]::"We ird".vector::text', [TokenArray(MATRIX)])
        assert cursor.fetchone() == ("[1.5,-2,0.25]",)


@pytest.mark.parametrize("tokens", [1, 1024])
def test_largest_query_arrives_whole(connection: psycopg.Connection, tokens: int) -> None:
    matrix = np.ones((tokens, 128), dtype=np.float32)
    cursor = connection.cursor()
    register(cursor, types_of(connection))
    cursor.execute("SELECT cardinality(%s)", [TokenArray(matrix)])
    assert cursor.fetchone() == (tokens,)
