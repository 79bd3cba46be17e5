"""The command line asks a running worker, and then loads no model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import psycopg
import pytest

from colbert_pg import Client
from colbert_pg.cli import _asking
from colbert_pg.cli._asking import Answered
from tests.cli.conftest import Run, default_encoder
from tests.client.words import WordEncoder
from tests.servers import REPOSITORY
from tests.text.test_asking import CONTENTS, working

HEAVY = ("torch", "transformers", "sentence_transformers")


def indexed(database: str, encoder: Any, dimensions: int) -> None:
    """A table documents with three texts, whose index knows its model."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE documents (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            f" content text, embeddings vector({dimensions})[])".encode()
        )
        client = Client(connection, encoder)
        client.create_index("documents", options={"text": "content"})
        client.add("documents", CONTENTS)


def kept(database: str) -> int:
    with psycopg.connect(database) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM colbert._query").fetchall()
    return int(count)


def imports(*arguments: str) -> tuple[str, set[str]]:
    """What a command prints, and which of the modules under the encoder it has imported."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "colbert_pg.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if name[:7] != "COLBERT"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "colbert_pg.cli._commands" in imported
    return done.stdout, imported.intersection(HEAVY)


@pytest.mark.parametrize("more", [(), ("--hybrid", "--language", "english"), ("--exact",)])
def test_search_asks_a_worker_and_imports_no_model(database: str, more: tuple[str, ...]) -> None:
    """The model of these vectors is the worker's alone: nobody else could encode the question."""
    indexed(database, WordEncoder(), 32)
    with working(database):
        found, imported = imports("search", "a dog", *more, "--json", "--url", database)
    assert json.loads(found)[0]["content"] == CONTENTS[1]
    assert imported == set()
    again, _ = imports("search", "a dog", *more, "--json", "--url", database)  # without a worker
    assert json.loads(again) == json.loads(found)


def test_encode_query_prints_what_a_worker_gives(database: str) -> None:
    indexed(database, WordEncoder(), 32)
    with working(database):
        printed, imported = imports(
            "encode-query", "a dog", "--table", "documents", "--url", database
        )
    rows = json.loads("[" + printed.strip()[1:-1].replace('"', "") + "]")
    assert rows == pytest.approx(WordEncoder().encode_queries(["a dog"])[0])
    assert imported == set()


@pytest.mark.parametrize("command", ["status", "maintain", "install"])
def test_commands_that_encode_nothing_import_no_model(database: str, command: str) -> None:
    assert imports(command, "--url", database)[1] == set()


def test_without_a_worker_a_command_encodes_by_itself_and_leaves_nothing(
    run: Run, database: str
) -> None:
    indexed(database, default_encoder(), 128)
    found = json.loads(run("search", "stocks", "--json", "--url", database).stdout)
    assert found[0]["content"] == CONTENTS[2]
    vectors = run("encode-query", "a dog", "--table", "documents", "--url", database).stdout
    assert vectors.startswith('{"[')
    assert kept(database) == 0


def test_a_named_model_is_not_asked_of_a_worker(
    run: Run, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed(database, WordEncoder(), 32)
    made = []

    def encoder(model: str, **_: Any) -> WordEncoder:
        made.append(model)
        return WordEncoder()

    monkeypatch.setattr("colbert_pg.encoding.Encoder", encoder)
    with working(database):
        run("search", "a dog", "--model", "words", "--url", database)
    assert made == ["words"]
    assert kept(database) == 0


def test_what_a_worker_refuses_is_encoded_here(
    run: Run, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed(database, WordEncoder(), 32)
    monkeypatch.setattr("colbert_pg.cli._commands.encoder_for", lambda *_: WordEncoder())
    with working(database):
        found = run("search", "bad dog", "--json", "--url", database).stdout  # Reader refuses "bad"
    assert json.loads(found)[0]["content"] == CONTENTS[1]


def test_a_lost_connection_is_no_missing_worker(
    run: Run, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed(database, WordEncoder(), 32)
    monkeypatch.setattr(_asking, "_UNANSWERED", ())
    refused = run("search", "a dog", "--url", database, code=1)
    assert "no worker has taken the query" in refused.stderr


@pytest.mark.parametrize("text", ["Naïve cats, sleeping: unbelievable!", "a", "日本語 text"])
def test_passages_of_the_default_model_need_its_tokenizer_alone(text: str) -> None:
    encoder = default_encoder()
    (vectors,) = encoder.encode_queries([text])
    answered = Answered(text, vectors, encoder.fingerprint)
    assert answered.document_tokens(text) == encoder.document_tokens(text)
    assert answered.query_tokens(text) == encoder.query_tokens(text)
    pooled = Answered(text, vectors, {**encoder.fingerprint, "pool_factor": 2})
    with pytest.raises(ValueError, match="the model itself"):
        pooled.document_tokens(text)
    with pytest.raises(ValueError, match="alone"):
        answered.encode_queries(["another"])
    with pytest.raises(ValueError, match="no documents"):
        answered.encode_documents([text])
