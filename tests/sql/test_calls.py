"""The searches are called in any order of arguments, for keys of every type."""

import itertools
from collections.abc import Iterator

import psycopg
import pytest

from tests.sql.documents import Row, create_index, run

VECTORS = """'{"[1,0,0]"}'::vector[]"""
KEYS = {"bigint": "", "uuid": "NULL::uuid", "text": "NULL::text"}
CALLS = {
    "search": {"source": "'documents'", "query": VECTORS, "key": "", "k": "2", "filter": "'true'"},
    "explain_search": {"source": "'documents'", "query": VECTORS, "key": "", "k": "2"},
    "hybrid_search": {
        "source": "'documents'",
        "query": VECTORS,
        "words": "'red'",
        "key": "",
        "k": "2",
    },
    "search_parents": {
        "source": "'documents'",
        "query": VECTORS,
        "parent": "'parent'",
        "key": "",
        "k": "2",
    },
    "rerank": {"source": "'documents'", "query": VECTORS, "ids": "", "k": "2"},
}
"""The functions with keys, and arguments for each; those that depend on the key are left open."""


def make_documents(connection: psycopg.Connection, key: str, numbers: list[int]) -> list[str]:
    """Documents of equal score, and words to find them by; returns their keys, in their order."""
    written = [f"00000000-0000-0000-0000-{n:012}" if key == "uuid" else str(n) for n in numbers]
    run(
        connection,
        f"CREATE TABLE documents (id {key} PRIMARY KEY, parent {key}, content text, "
        "embeddings vector(3)[])",
    )
    for one in written:
        run(
            connection,
            f"INSERT INTO documents VALUES (%s::{key}, %s::{key}, 'red', {VECTORS})",
            one,
            one,
        )
    create_index(connection, "documents", ", method => 'exact'")
    rows = run(connection, "SELECT d.id::text FROM documents AS d ORDER BY d.id")
    return [row[0] for row in rows]


def orders(function: str, key: str) -> Iterator[str]:
    """A call for each order of its named arguments."""
    arguments = dict(CALLS[function])
    if "ids" in arguments:
        arguments["ids"] = f"ARRAY(SELECT id::{key} FROM documents)"
    elif KEYS[key]:
        arguments["key"] = KEYS[key]
    else:
        del arguments["key"]
    for order in itertools.permutations(arguments.items()):
        yield f"colbert.{function}({', '.join(f'{name} => {value}' for name, value in order)})"


def columns(connection: psycopg.Connection, call: str) -> Row:
    cursor = connection.execute(f"SELECT * FROM {call}".encode())
    assert cursor.description
    assert cursor.fetchall()
    types = [column.type_display for column in cursor.description]
    return tuple("bigint" if name == "int8" else name for name in types)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("function", CALLS)
def test_arguments_come_in_any_order(
    connection: psycopg.Connection, function: str, key: str
) -> None:
    make_documents(connection, key, [1, 2])
    [answer] = {columns(connection, call) for call in orders(function, key)}
    if function == "search_parents":
        assert answer == (key, "float8", "bigint" if key == "bigint" else "text")
    elif function != "explain_search":
        assert answer[:2] == (key, "float8")


@pytest.mark.parametrize("key", ["bigint", "smallint", "numeric", "text", "varchar(9)", "char(9)"])
def test_text_serves_every_key_and_ties_follow_its_own_type(
    connection: psycopg.Connection, key: str
) -> None:
    expected = make_documents(connection, key, [10, 9, 100])
    arguments = f"'documents', {VECTORS}"
    ids = "ARRAY(SELECT id::text FROM documents)"
    for call in (
        f"search({arguments}, key => NULL::text)",
        f"search({arguments}, key => NULL::text, filter => 'true')",
        f"hybrid_search({arguments}, 'red', key => NULL::text, candidates => 3)",
        f"rerank({arguments}, {ids})",
    ):
        rows = run(connection, f"SELECT doc_id FROM colbert.{call}")
        assert [row[0] for row in rows] == expected, call
        assert run(connection, f"SELECT doc_id FROM colbert.{call} LIMIT 2") == rows[:2]
    call = f"search_parents({arguments}, 'parent', key => NULL::text)"
    rows = run(connection, f"SELECT parent_id, doc_id FROM colbert.{call}")
    assert rows == [(one, one) for one in expected]


def test_what_a_search_refuses_its_explanation_refuses(connection: psycopg.Connection) -> None:
    make_documents(connection, "bigint", [1])
    for arguments, sqlstate in (("'2'", "22023"), ("key => NULL::uuid", "42804")):
        for function in ("search", "explain_search"):
            with pytest.raises(psycopg.Error) as raised, connection.transaction():
                run(
                    connection,
                    f"SELECT colbert.{function}('documents', {VECTORS}, {arguments})",
                )
            assert raised.value.sqlstate == sqlstate
