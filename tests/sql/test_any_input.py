"""Input of every kind, drawn by hypothesis: the documented error, or what NumPy says."""

import string
from typing import Any

import hypothesis.extra.numpy as npst
import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from tests.sql.documents import (
    METHODS,
    Matrix,
    create_index,
    create_table,
    maxsim,
    problems,
    ranking,
    run,
    search,
    texts,
)

# One database for all examples, each in a transaction that is rolled back.
quick = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

# What bad input may be answered with, by the documents: docs/promises.md, "Bad input".
DOCUMENTED = {"22000", "22003", "22004", "22023", "2202E", "22P02", "54000"}

number = st.floats(-2, 2, width=32) | st.just(0.0)
odd = st.sampled_from(["NaN", "Infinity", "-Infinity", "1e39", "65505", "1e-46", "", "x"])


def matrices(rows: st.SearchStrategy[int], columns: int = 3) -> st.SearchStrategy[Matrix]:
    """Finite vectors, not all of one length; no vector is so short that half precision loses it."""
    element = st.floats(-2, 2, width=32).map(lambda x: x if abs(x) > 0.01 else 0.0)
    return rows.flatmap(lambda n: npst.arrays(np.float32, (n, columns), elements=element))


def units(most: int) -> st.SearchStrategy[Matrix]:
    """Unit vectors."""

    def normalised(matrix: Matrix) -> Matrix:
        matrix = matrix + np.where(np.linalg.norm(matrix, axis=1, keepdims=True) < 0.1, 1, 0)
        result: Matrix = (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype("float32")
        return result

    return matrices(st.integers(1, most)).map(normalised)


# Arrays as text of every shape: NULLs, wrong dimensions, numbers that are none, nested, empty.
element = (
    st.lists(number.map(str) | odd, min_size=0, max_size=4).map(lambda v: f'"[{",".join(v)}]"')
    | st.just("NULL")
    | st.just('"[1,0,0]"')
)
flat = st.lists(element, max_size=4).map(lambda v: "{" + ",".join(v) + "}")
array = flat | st.lists(flat, min_size=1, max_size=2).map(lambda v: "{" + ",".join(v) + "}")


def answer(connection: psycopg.Connection, statement: str, *values: object) -> Any:
    """The rows, or the SQLSTATE of the error."""
    try:
        with connection.transaction():
            return run(connection, statement, *values)
    except psycopg.Error as error:
        return error.sqlstate


@pytest.fixture(params=METHODS)
def indexed(
    request: pytest.FixtureRequest, own_connection: psycopg.Connection
) -> psycopg.Connection:
    """A connection with table documents, empty and indexed by one of the methods."""
    create_table(own_connection)
    create_index(own_connection, "documents", f", method => '{request.param}'")
    own_connection.commit()
    return own_connection


@quick
@given(query=matrices(st.integers(1, 40)), document=matrices(st.integers(0, 40)))
def test_maxsim_of_any_finite_arrays_is_numpys(
    connection: psycopg.Connection, query: Matrix, document: Matrix
) -> None:
    arrays = texts(query), texts(document)
    call = "SELECT colbert.maxsim(%s::text[]::vector[], %s::text[]::vector[])"
    [(score,)] = run(connection, call, *arrays)
    assert score == pytest.approx(maxsim(query, document), abs=1e-4)
    call = call.replace("::vector[]", "::halfvec[]")
    [(score,)] = run(connection, call, *arrays)
    halves = [matrix.astype(np.float16).astype(np.float32) for matrix in (query, document)]
    assert score == pytest.approx(maxsim(*halves), abs=1e-3)


@quick
@given(query=array, document=array, kind=st.sampled_from(["vector", "halfvec"]))
def test_maxsim_of_arrays_of_every_shape_is_a_number_or_a_documented_error(
    connection: psycopg.Connection, query: str, document: str, kind: str
) -> None:
    values = f"%s::{kind}[], %s::{kind}[]"
    for function in ("maxsim", "maxsim_matches"):
        got = answer(connection, f"SELECT colbert.{function}({values})", query, document)
        assert isinstance(got, list) or got in DOCUMENTED


@quick
@given(arrays=st.lists(array, min_size=1, max_size=3), query=array)
def test_what_is_stored_is_found_and_what_is_not_is_a_documented_error(
    indexed: psycopg.Connection, arrays: list[str], query: str
) -> None:
    with indexed.transaction(force_rollback=True):
        for key, text in enumerate(arrays):
            got = answer(indexed, "INSERT INTO documents VALUES (%s, %s)", key, text)
            assert got == [] or got in DOCUMENTED
            changed = answer(indexed, "UPDATE documents SET embeddings = %s", text)
            assert changed == [] or changed in DOCUMENTED
        assert problems(indexed) == []
        got = answer(indexed, "SELECT * FROM colbert.search('documents', %s::vector[])", query)
        assert isinstance(got, list) or got in DOCUMENTED
        got = answer(
            indexed, "SELECT * FROM colbert.rerank('documents', %s::vector[], ARRAY[0])", query
        )
        assert isinstance(got, list) or got in DOCUMENTED


@quick
@given(
    documents=st.dictionaries(st.integers(-(2**63), 2**63 - 1), units(5), max_size=6),
    query=units(4),
    k=st.integers(1, 8),
)
def test_a_search_over_any_documents_ranks_as_numpy_does(
    indexed: psycopg.Connection, documents: dict[int, Matrix], query: Matrix, k: int
) -> None:
    with indexed.transaction(force_rollback=True):
        for key, document in documents.items():
            run(
                indexed,
                "INSERT INTO documents VALUES (%s, %s::text[]::vector[])",
                key,
                texts(document),
            )
        assert problems(indexed) == []
        found = search(indexed, query, f", k => {k}")
        expected = ranking(query, documents)
        assert [score for _, score in found] == pytest.approx(
            [score for _, score in expected[:k]], abs=1e-5
        )
        scores = dict(expected)
        assert all(scores[key] == pytest.approx(score, abs=1e-5) for key, score in found)
        assert len({key for key, _ in found}) == len(found)


text_key = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@quick
@given(keys=st.sets(text_key, min_size=1, max_size=4), query=units(2))
def test_any_text_is_a_key(connection: psycopg.Connection, keys: set[str], query: Matrix) -> None:
    with connection.transaction(force_rollback=True):
        create_table(connection, key="text")
        create_index(connection, "documents", ", method => 'plaid'")
        for key in keys:
            run(
                connection,
                "INSERT INTO documents VALUES (%s, %s::text[]::vector[])",
                key,
                texts(query),
            )
        assert problems(connection) == []
        found = search(connection, query, ", key => NULL::text")
        assert {key for key, _ in found} == keys
        ids = "SELECT doc_id FROM colbert.rerank('documents', %s::text[]::vector[], %s::text[])"
        assert {key for (key,) in run(connection, ids, texts(query), list(keys))} == keys
        for key in keys:
            run(connection, "DELETE FROM documents WHERE id = %s", key)
        assert problems(connection) == []


name = st.text(st.sampled_from(string.ascii_letters + "\"'%$.;\\ é☃_-"), min_size=1, max_size=15)


@quick
@given(table=name, column=name, method=st.sampled_from(METHODS))
def test_any_name_is_a_name(
    connection: psycopg.Connection, table: str, column: str, method: str
) -> None:
    quoted, embeddings = ('"' + part.replace('"', '""') + '"' for part in (table, column))
    with connection.transaction(force_rollback=True):
        if column == "key":
            return
        run(connection, f"CREATE TABLE {quoted} (key int PRIMARY KEY, {embeddings} vector(3)[])")
        run(connection, "SELECT colbert.create_index(%s, %s, %s)", quoted, column, method)
        run(connection, f"INSERT INTO {quoted} VALUES (1, '{{\"[1,0,0]\"}}')")
        call = "SELECT * FROM colbert.search(%s, '{\"[1,0,0]\"}'::vector[])"
        assert run(connection, call, quoted) == [(1, 1.0)]
        assert run(connection, "SELECT * FROM colbert.check_index(%s)", quoted) == []
        run(connection, "SELECT colbert.drop_index(%s)", quoted)


@quick
@given(
    k=st.none() | st.integers(-(2**31), 2**31 - 1),
    candidates=st.none() | st.integers(-(2**31), 2**31 - 1),
    options=st.dictionaries(
        st.sampled_from(["hits", "m", "lists", "nprobe", "triggers", "dimensions", "nope"]),
        st.none() | st.booleans() | st.integers(-1, 5) | st.text(string.printable, max_size=3),
        max_size=2,
    ),
    method=st.sampled_from([*METHODS, "nope", ""]),
)
def test_any_number_and_option_is_taken_or_refused_with_an_sqlstate(
    connection: psycopg.Connection,
    k: int | None,
    candidates: int | None,
    options: dict[str, object],
    method: str,
) -> None:
    with connection.transaction(force_rollback=True):
        create_table(connection)
        run(connection, "INSERT INTO documents VALUES (1, '{\"[1,0,0]\"}')")
        create = "SELECT colbert.create_index('documents', method => %s, options => %s)"
        got = answer(connection, create, method, Jsonb(options))
        assert isinstance(got, list) or got in DOCUMENTED
        if isinstance(got, list):
            got = answer(
                connection,
                "SELECT doc_id FROM colbert.search('documents', '{\"[1,0,0]\"}'::vector[], "
                "k => %s::int, candidates => %s::int)",
                k,
                candidates,
            )
            assert got == [(1,)] or got in DOCUMENTED
