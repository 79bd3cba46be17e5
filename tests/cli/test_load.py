"""Loading: further fields of a line, standard input, bad lines that are set aside."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from tests.cli.conftest import Run, WriteLines

RICH = """
    CREATE TABLE documents (
      id text PRIMARY KEY, content text NOT NULL, embeddings vector(128)[],
      lang text NOT NULL DEFAULT 'en', day date, tags text[], meta jsonb, price numeric(6, 2),
      code char(3), title text, "We ird%s" int,
      upper text GENERATED ALWAYS AS (upper(lang)) STORED,
      number int GENERATED ALWAYS AS IDENTITY)
"""


@pytest.fixture
def rich(database: str) -> str:
    """Connection string of a database with a table of many columns."""
    with psycopg.connect(database) as connection:
        connection.execute(RICH)
    return database


def rows(database: str, columns: str) -> list[Any]:
    with psycopg.connect(database) as connection:
        statement = f"SELECT {columns} FROM documents ORDER BY documents.id"
        return connection.execute(statement.encode()).fetchall()


def said(result: Any) -> str:
    return " ".join(result.stderr.split())


def test_fields_of_a_line_go_into_columns_and_others_are_named(
    run: Run, rich: str, lines: WriteLines
) -> None:
    path = lines(
        {"id": "a", "text": "one", "lang": "de", "day": "2026-01-02", "tags": ["x", "y z"]},
        {"id": "b", "text": "two", "meta": {"a": [1, None]}, "price": 1.5, "We ird%s": 7},
        {"id": "c", "text": "three", "title": "Three", "code": "AB1", "lang": "fr"},
        {"id": "d", "text": "four", "url": "x", "number": 9, "upper": "x", "embeddings": [1]},
        {"id": "e", "text": "five"},
    )
    loaded = run("load", str(path), "--url", rich)
    assert "5 documents added" in said(loaded)
    assert "no column of documents takes were left out: embeddings, number, upper, url" in said(
        loaded
    )
    assert rows(rich, 'id, lang, day::text, tags, meta, price::text, code, title, "We ird%s"') == [
        ("a", "de", "2026-01-02", ["x", "y z"], None, None, None, None, None),
        ("b", "en", None, None, {"a": [1, None]}, "1.50", None, None, 7),
        ("c", "fr", None, None, None, None, "AB1", "Three", None),
        ("d", "en", None, None, None, None, None, None, None),
        ("e", "en", None, None, None, None, None, None, None),
    ]
    assert set(rows(rich, "embeddings IS NOT NULL")) == {(True,)}


def test_changed_fields_are_stored_and_missing_ones_stay(
    run: Run, rich: str, lines: WriteLines
) -> None:
    run(
        "load",
        str(
            lines(
                {"id": "a", "text": "one", "lang": "de", "meta": {"v": 1}},
                {"id": "b", "text": "two", "lang": "de", "meta": {"v": 1}},
                {"id": "c", "text": "three", "lang": "de"},
            )
        ),
        *("--url", rich),
    )
    again = run(
        "load",
        str(
            lines(
                {"id": "a", "text": "one", "lang": "fr", "meta": {"v": 1}},
                {"id": "b", "text": "another", "meta": None},
                {"id": "c", "text": "three", "lang": "de"},
            )
        ),
        *("--url", rich),
    )
    assert "0 documents added, 2 changed, 1 as they were" in said(again)
    assert rows(rich, "id, content, lang, meta") == [
        ("a", "one", "fr", {"v": 1}),
        ("b", "another", "de", None),
        ("c", "three", "de", None),
    ]


def test_chunks_have_the_fields_of_their_document(
    run: Run, database: str, lines: WriteLines
) -> None:
    chunked = ("--chunk", "20", "--overlap", "2", "--url", database)
    document = {"id": "a", "text": "Nothing of note happened. " * 20, "lang": "de"}
    first = run("load", str(lines(document)), *chunked)
    assert "left out: lang" in said(first)
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE documents ADD COLUMN lang text")
    again = run("load", str(lines(document)), *chunked)
    assert "left out" not in said(again)
    found = rows(database, "document_id, lang")
    assert len(found) > 1
    assert set(found) == {("a", "de")}


def test_a_field_that_does_not_fit_its_column_names_its_line(
    run: Run, rich: str, lines: WriteLines
) -> None:
    path = lines(
        {"id": "a", "text": "one", "day": "2026-01-02"},
        {"id": "b", "text": "two", "day": "never"},
        {"id": "c", "text": "three", "meta": "nul\0"},
        {"id": "d", "text": "four", "lang": None},
        {"id": "e", "text": "five", "lang": "fr"},
    )
    refused = run("load", str(path), "--url", rich, code=1)
    assert 'line 2: invalid input syntax for type date: "never"' in said(refused)
    loaded = run("load", str(path), "--skip-bad", "--url", rich)
    assert "1 documents added, 0 changed, 1 as they were" in said(loaded)
    assert "3 documents were left out line 2: invalid input syntax" in said(loaded)
    assert "line 3: " in said(loaded)
    assert "line 4: null value" in said(loaded)
    assert rows(rich, "id") == [("a",), ("e",)]


def test_bad_lines_are_set_aside_with_their_numbers(
    run: Run, database: str, lines: WriteLines
) -> None:
    good = [{"id": f"{n}", "text": f"text {n}"} for n in range(3)]
    path = lines(good[0], "{broken", good[1], {"id": "0", "text": "again"}, "", good[2])
    loaded = run("load", str(path), "--skip-bad", "--url", database)
    assert f"{path}:2: not JSON" in loaded.stderr.replace("\n", "")
    assert f"{path}:4: id '0' is that of line 1" in loaded.stderr.replace("\n", "")
    assert "3 documents added" in said(loaded)
    many = lines(*["{"] * 12, good[0], *["{"] * 2)
    again = run("load", str(many), "--skip-bad", "--url", database)
    assert "and 4 more: lines 11-12, 14-15" in said(again)
    assert "1 as they were" in said(again)


def test_standard_input_is_a_file_named_by_a_dash(
    run: Run, database: str, lines: WriteLines
) -> None:
    path = lines({"id": "a", "text": "one"}, {"id": "b", "text": "two"})
    loaded = run("load", "-", "--url", database, stdin=path.read_bytes())
    assert "2 documents added" in said(loaded)
    refused = run("load", "-", "--url", database, stdin=b"{", code=1)
    assert "standard input:1: not JSON" in said(refused)


def test_documents_that_are_cut_off_call_for_chunks(
    run: Run, database: str, lines: WriteLines
) -> None:
    path = lines({"id": "long", "text": "word " * 2000})
    assert "--chunk and another --table" in said(run("load", str(path), "--url", database))


def test_lines_of_scripts_have_json_of_every_kind(run: Run, rich: str, lines: WriteLines) -> None:
    value = {"a": "it's \\ \" %s", "b": [1.5, True, None], "c": "caf\u00e9 \U0001f600"}
    run("load", str(lines({"id": "a", "text": "one", "meta": value})), "--url", rich)
    assert rows(rich, "meta") == [(json.loads(json.dumps(value)),)]
