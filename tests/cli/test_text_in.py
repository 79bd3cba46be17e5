"""Long documents in chunks, tables of the user's own, queries as literals, by command line."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest

from colbert_pg import Client
from colbert_pg.encoder import Encoder
from colbert_pg.options import Options
from tests.cli.conftest import Run, WriteLines, default_encoder

LONG = "Nothing of note happened that day. " * 60
DOCUMENTS = [
    {"id": "bread", "text": LONG + "The baker opens at six and sells rolls and bread."},
    {"id": "cats", "text": LONG + "Cats sleep most of the day."},
]
BREAD = "when does the bakery open?"


@pytest.fixture
def loaded(run: Run, lines: WriteLines, database: str) -> str:
    """Connection string of a database where two long documents were loaded in chunks."""
    run("load", str(lines(*DOCUMENTS)), "--chunk", "100", "--overlap", "10", "--url", database)
    return database


def found(run: Run, database: str, *arguments: str) -> list[dict[str, Any]]:
    result = run("search", *arguments, "--json", "--url", database)
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def chunks(database: str) -> list[tuple[str, str, str]]:
    with psycopg.connect(database) as connection:
        return connection.execute(
            "SELECT id, document_id, content FROM documents ORDER BY document_id, id"
        ).fetchall()


def test_a_long_document_is_found_by_what_stands_at_its_end(run: Run, loaded: str) -> None:
    best, other = found(run, loaded, BREAD, "-k", "2")
    assert (best["parent_id"], other["parent_id"]) == ("bread", "cats")
    assert "baker" in best["content"]
    assert best["id"].startswith("bread#")
    assert best["score"] > other["score"]
    shown = run("search", BREAD, "--url", loaded).stdout
    assert shown.index("bread#") < shown.index("cats#")


def test_a_second_load_replaces_what_changed_and_removes_chunks_that_are_gone(
    run: Run, loaded: str, lines: WriteLines
) -> None:
    before = chunks(loaded)
    shorter = {"id": "bread", "text": "The baker opens at nine."}
    again = run(
        "load",
        str(lines(shorter, DOCUMENTS[1])),
        "--chunk",
        "100",
        "--overlap",
        "10",
        "--url",
        loaded,
    )
    after = chunks(loaded)
    assert [row for row in after if row[1] == "bread"] == [
        ("bread#1", "bread", "The baker opens at nine.")
    ]
    assert [row for row in after if row[1] == "cats"] == [row for row in before if row[1] == "cats"]
    assert f"{len(before) - len(after)} chunks removed" in " ".join(again.stderr.split())


def test_chunks_and_whole_documents_do_not_mix(run: Run, loaded: str, lines: WriteLines) -> None:
    refused = run("load", str(lines(*DOCUMENTS)), "--url", loaded, code=1)
    assert "holds chunks" in refused.stderr


def test_a_table_of_the_users_own_is_searched_by_text(run: Run, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE TABLE passages (number int PRIMARY KEY, book int, body text, v vector(128)[])"
        )
        client = Client(connection, default_encoder())
        client.create_index("passages", "v", options={"text": "body"})
        client.add(
            "passages",
            ["Cats sleep.", "The baker opens at six.", "The bakery opens at eight."],
            keys=[1, 2, 3],
            columns={"book": [7, 8, 8]},
            content_column="body",
        )
    rows = found(run, database, BREAD, "--table", "passages", "-k", "2")
    assert {row["id"] for row in rows} == {2, 3}
    assert all(row["content"].endswith(".") for row in rows)
    parents = found(run, database, BREAD, "--table", "passages", "--parent", "book")
    assert [row["parent_id"] for row in parents] == [8, 7]
    explained = run("explain", BREAD, "--doc", "2", "--table", "passages", "--url", database)
    assert "six" in explained.stdout


COMPOSED = """
CREATE FUNCTION whole() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.content := concat_ws(' ', NEW.lang, NEW.content); RETURN NEW; END $$;
CREATE TRIGGER whole BEFORE INSERT OR UPDATE ON documents
  FOR EACH ROW EXECUTE FUNCTION whole();
"""
EXPRESSION = """
SELECT colbert.create_index('documents', options => '{"text": "lang || content"}');
"""


@pytest.mark.parametrize("text", [COMPOSED, EXPRESSION])
def test_a_text_that_is_not_what_is_loaded_is_refused(
    run: Run, database: str, lines: WriteLines, text: str
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE TABLE documents (id text PRIMARY KEY, content text, lang text,"
            " embeddings vector(128)[]);" + text
        )
    file = lines({"id": "1", "text": "Cats sleep.", "lang": "en"})
    refused = run("load", str(file), "--url", database, code=1)
    assert "let a worker encode them" in " ".join(refused.stderr.split())
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT * FROM documents").fetchall() == []


def test_a_text_of_several_columns_is_searched_and_explained(run: Run, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE TABLE documents (id int PRIMARY KEY, title text, body text,"
            " embeddings vector(128)[]);"
            "INSERT INTO documents VALUES (1, 'Bakery', 'It opens at six.'), (2, 'Cats', 'Sleep.');"
            "SELECT colbert.create_index('documents',"
            """ options => '{"text": "title || '': '' || body"}')"""
        )
    run("worker", "--once", "--url", database)
    best, _ = found(run, database, BREAD)
    assert best["content"] == "Bakery: It opens at six."
    assert "opens" in run("explain", BREAD, "--doc", "1", "--url", database).stdout
    hybrid, _ = found(run, database, "cats", "--hybrid")
    assert (hybrid["id"], hybrid["text_rank"]) == (2, 1)


@pytest.mark.parametrize(
    ("key_type", "key", "printed"),
    [("uuid", UUID(int=7), str(UUID(int=7))), ("numeric", Decimal("1.50"), "1.50")],
)
def test_keys_that_json_has_no_type_for_are_printed_as_text(
    run: Run, database: str, key_type: str, key: Any, printed: str
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            f"CREATE TABLE passages (id {key_type} PRIMARY KEY, content text,"
            " embeddings vector(128)[])".encode()
        )
        client = Client(connection, default_encoder())
        client.create_index("passages", method="exact")
        client.add("passages", ["Cats sleep."], keys=[key])
    (row,) = found(run, database, "cats", "--table", "passages")
    assert row["id"] == printed


def test_a_document_with_a_key_of_a_fixed_length_is_explained(run: Run, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE TABLE codes (id char(3) PRIMARY KEY, content text, embeddings vector(128)[])"
        )
        client = Client(connection, default_encoder())
        client.create_index("codes", method="exact")
        client.add("codes", ["The baker opens at six."], keys=["AB1"])
    explain = ("explain", BREAD, "--table", "codes", "--url", database)
    assert "six" in run(*explain, "--doc", "AB1").stdout
    assert "no document with the id 'A'" in run(*explain, "--doc", "A", code=1).stderr


def test_a_document_is_explained_where_its_text_is_not_known(run: Run, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE passages (number int, body text, v vector(128)[])")
        connection.execute("ALTER TABLE passages ADD PRIMARY KEY (number)")
    explain = ("explain", BREAD, "--table", "passages", "--url", database)
    refused = run(*explain, "--doc", "2", code=1)
    assert "neither an index nor a column id" in " ".join(refused.stderr.split())
    with psycopg.connect(database) as connection:
        client = Client(connection, default_encoder())
        client.create_index("passages", "v", method="exact")
        client.add("passages", ["The baker opens at six."], keys=[2], content_column="body")
    assert "score" in run(*explain, "--doc", "2").stdout
    assert "no document with the id '3'" in run(*explain, "--doc", "3", code=1).stderr


def test_encode_query_prints_what_the_encoder_gives(run: Run) -> None:
    printed = run("encode-query", BREAD).stdout
    (vectors,) = default_encoder().encode_queries([BREAD])
    rows = json.loads("[" + printed.strip()[1:-1].replace('"', "") + "]")
    assert rows == pytest.approx(vectors)
    assert "empty" in run("encode-query", " ", code=1).stderr


def test_a_table_that_knows_its_model_by_name_shares_a_worker_with_one_that_knows_more(
    run: Run, database: str
) -> None:
    fingerprint = dict(default_encoder().fingerprint)
    table_of_texts(database, "whole", fingerprint)
    table_of_texts(database, "named", fingerprint["name"])
    done = run("worker", "--once", "--url", database)
    assert "2 documents encoded, 0 failed" in done.stderr


def test_a_worker_of_a_named_model_leaves_tables_of_others_alone(
    run: Run, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def encoder(model: str, **options: Any) -> Encoder:
        made.append((model, options["dimensions"]))
        return default_encoder()

    monkeypatch.setattr("colbert_pg.encoding.Encoder", encoder)
    name = default_encoder().fingerprint["name"]
    table_of_texts(database, "mine", name)
    table_of_texts(database, "another", "colbert-ir/colbertv2.0", dimensions=64)
    done = run("worker", "--once", "--model", name, "--url", database)
    assert "1 documents encoded, 0 failed" in done.stderr
    assert made == [(name, 128)]
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT id FROM another WHERE embeddings IS NULL").fetchall()
    assert rows == [(1,)]


def test_a_worker_that_could_not_work_for_a_table_ends_with_1(run: Run, database: str) -> None:
    for name in ("good", "harmed"):
        table_of_texts(database, name, None)
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN RAISE ''not today''; END'"
        )
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON harmed_embeddings_attempts"
            " EXECUTE FUNCTION refuse()"
        )
    done = run("worker", "--once", "--url", database, code=1)
    assert "1 documents encoded, 0 failed" in done.stderr


def table_of_texts(database: str, name: str, model: Any, dimensions: int = 128) -> None:
    """A table with one pending text, whose index knows its model as far as it is told."""
    with psycopg.connect(database) as connection:
        connection.execute(
            f"CREATE TABLE {name} (id int PRIMARY KEY, body text,"
            f" embeddings vector({dimensions})[])".encode()
        )
        options: Options = {"text": "body"}
        if model is not None:
            options["model"] = model
        Client(connection).create_index(name, method="exact", options=options)
        connection.execute(f"INSERT INTO {name} VALUES (1, 'a cat')".encode())


def test_tables_of_different_models_need_a_worker_each(run: Run, database: str) -> None:
    for name, dimensions in (("one", 128), ("two", 64)):
        table_of_texts(database, name, None, dimensions)
    refused = run("worker", "--once", "--url", database, code=1)
    assert "start a worker for each" in refused.stderr
    for name in ("one", "two"):
        done = run("worker", "--once", "--table", name, "--url", database)
        assert "1 documents encoded, 0 failed" in done.stderr
    status = run("status", "--url", database).stdout
    assert "documents_per_minute" in status
