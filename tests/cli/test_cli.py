"""The command line from end to end, with the default model on short documents."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from colbert_pg._extras import pip_install
from colbert_pg.cli._demo import PSQL_QUERY
from colbert_pg.client import Client
from colbert_pg.embedded import EmbeddedServer
from colbert_pg.encoder import Encoder
from colbert_pg.vectors import Matrix
from tests.cli.conftest import Run, Start, WriteLines
from tests.servers import REPOSITORY
from tests.waiting import PATIENCE, wait_for

ANIMALS = ("cat", "dog", "horse", "cow", "owl", "frog", "shark", "bee", "snake", "goat")
TEXTS = {
    **{f"pet-{animal}": f"The {animal} eats in the morning." for animal in ANIMALS},
    **{f"tool-{n}": f"Tool number {n} cuts wood and metal." for n in range(10)},
    "bank": "The central bank raised interest rates to fight inflation.",
    "storm": "A thunderstorm with heavy rain flooded the village.",
    "cake": "Bake the chocolate cake for forty minutes.",
    "goal": "The striker scored twice in the football match.",
    "moon": "Astronauts walked on the moon in 1969.",
    "flu": "Doctors recommend a vaccine against influenza.",
    "violin": "She plays the violin in an orchestra.",
    "train": "The express train to Vienna leaves at noon.",
    "paint": "Monet painted water lilies in his garden.",
    "chess": "The champion moved her queen and won.",
}
DOCUMENTS = [{"id": key, "text": text} for key, text in TEXTS.items()]


@pytest.fixture
def corpus(lines: WriteLines) -> str:
    return str(lines(*DOCUMENTS))


def rows(database: str, statement: str) -> list[Any]:
    with psycopg.connect(database) as connection:
        return connection.execute(statement).fetchall()


def problems(database: str) -> list[Any]:
    with psycopg.connect(database) as connection:
        return list(Client(connection).check_index("documents"))


# From a file to results


def test_loaded_documents_are_searched_explained_and_counted(
    run: Run, database: str, corpus: str
) -> None:
    loaded = run("load", corpus, "--url", database)
    assert "30 documents added" in loaded.stderr
    assert loaded.stdout == ""

    found = run("search", "monetary policy", "-k", "3", "--url", database, "--json")
    hits = json.loads(found.stdout)
    assert len(hits) == 3
    assert hits[0]["id"] == "bank"
    assert hits[0]["content"] == TEXTS["bank"]
    assert hits[0]["score"] > hits[1]["score"]

    shown = run("search", "lunar landing", "--url", database)
    assert shown.stdout.split()[1] == "moon"
    assert TEXTS["moon"] in shown.stdout

    explained = run("explain", "lunar astronaut", "--doc", "moon", "--url", database)
    assert "astronaut" in explained.stdout
    assert TEXTS["moon"] in " ".join(explained.stdout.split())

    status = json.loads(run("status", "--json", "--url", database).stdout)
    (index,) = status["indexes"]
    assert (index["method"], index["documents"]) == ("plaid", 30)
    assert status["colbert_pg"] is not None
    assert problems(database) == []
    assert "plaid" in run("status", "--url", database).stdout


def test_exact_search_and_filters_are_options(run: Run, database: str, corpus: str) -> None:
    run("load", corpus, "--url", database, "--method", "exact")
    found = run(
        *("search", "breakfast", "--exact", "--json", "-k", "99", "--url", database),
        *("--filter", "id LIKE 'pet-%'"),
    )
    assert {hit["id"] for hit in json.loads(found.stdout)} == {f"pet-{a}" for a in ANIMALS}


def test_results_below_min_score_are_left_out(run: Run, database: str, corpus: str) -> None:
    run("load", corpus, "--url", database)
    search = ["search", "breakfast", "--json", "-k", "99", "--url", database]
    everything = json.loads(run(*search).stdout)
    better = json.loads(run(*search, "--min-score", "0.5").stdout)
    assert json.loads(run(*search, "--min-score", "-1").stdout) == everything
    assert json.loads(run(*search, "--min-score", "1").stdout) == []
    assert better == everything[: len(better)]


def test_second_load_leaves_what_is_there_and_replaces_changed_texts(
    run: Run, database: str, lines: WriteLines
) -> None:
    run("load", str(lines(*DOCUMENTS[:12])), "--url", database)
    before = dict(rows(database, "SELECT id, xmin::text FROM documents"))
    changed = {"id": "pet-dog", "text": "The submarine dives."}
    again = lines(*DOCUMENTS[:1], changed, *DOCUMENTS[2:14])
    loaded = run("load", str(again), "--url", database)
    assert "2 documents added, 1 changed, 11 as they were" in loaded.stderr
    after = dict(rows(database, "SELECT id, xmin::text FROM documents"))
    assert {key for key in before if before[key] != after[key]} == {"pet-dog"}
    hits = json.loads(run("search", "boat under water", "--json", "--url", database).stdout)
    assert hits[0]["id"] == "pet-dog"
    assert problems(database) == []


def test_document_without_vectors_gets_them(run: Run, database: str, corpus: str) -> None:
    run("load", corpus, "--url", database)
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE documents SET embeddings = NULL WHERE id = 'moon'")
    run("load", corpus, "--url", database)
    assert rows(database, "SELECT 1 FROM documents WHERE embeddings IS NULL") == []


def test_half_vectors_of_fewer_dimensions_are_kept_to_by_later_runs(
    run: Run, database: str, corpus: str
) -> None:
    run("load", corpus, "--half", "--dimensions", "64", "--table", '"We ird%s"', "--url", database)
    (row,) = rows(
        database,
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = '\"We ird%s\"'::regclass AND attname = 'embeddings'",
    )
    assert row == ("halfvec(64)[]",)
    again = run("load", corpus, "--table", '"We ird%s"', "--url", database)
    assert "30 as they were" in again.stderr
    found = run("search", "vaccine", "--json", "--table", '"We ird%s"', "--url", database)
    assert json.loads(found.stdout)[0]["id"] == "flu"


def test_pooled_documents_are_searched_by_the_options_that_the_index_remembers(
    run: Run, database: str, corpus: str
) -> None:
    run("load", corpus, "--pool", "2", "--url", database)
    hits = json.loads(run("search", "vaccine", "--json", "--url", database).stdout)
    assert hits[0]["id"] == "flu"
    run("explain", "vaccine", "--doc", "flu", "--url", database)


def test_another_method_is_built_when_asked_for(run: Run, database: str, corpus: str) -> None:
    run("load", corpus, "--url", database)
    run("load", corpus, "--method", "exact", "--url", database)
    with psycopg.connect(database) as connection:
        assert [index["method"] for index in Client(connection).indexes()] == ["exact"]


def test_reindex_trains_anew_or_keeps_the_centroids(run: Run, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE TABLE documents (id int PRIMARY KEY, embeddings vector(2)[]);"
            """INSERT INTO documents VALUES (1, '{"[1,0]"}'), (2, '{"[0,1]"}')"""
        )
        Client(connection).create_index("documents", method="plaid")
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE documents_embeddings_centroids SET trained = false")
    for options, trained in (["--no-retrain"], False), ([], True):
        [(before,)] = rows(database, "SELECT tables[1]::text FROM colbert._index")
        run("reindex", "documents", *options, "--url", database)
        [(after,)] = rows(database, "SELECT tables[1]::text FROM colbert._index")
        assert after != before
        assert set(rows(database, f"SELECT trained FROM {after}")) == {(trained,)}


def test_an_index_of_the_users_own_stays_and_keeps_key_and_options_under_another_method(
    run: Run, database: str, corpus: str
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE TABLE documents (number int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            " id text NOT NULL UNIQUE, content text, embeddings vector(128)[])"
        )
        Client(connection).create_index(
            "documents",
            method="hnsw",
            options={"text": "content", "candidates": 30, "ef_construction": 70},
            key="id",
        )
    index = "SELECT method, key, options - 'model' FROM colbert.indexes"
    before = rows(database, index)
    run("load", corpus, "--url", database)
    assert rows(database, index) == before
    run("load", corpus, "--method", "plaid", "--url", database)
    assert rows(database, index) == [("plaid", "id", {"text": "content", "candidates": 30})]
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE documents SET content = 'A new text.' WHERE id = 'moon'")
        pending = connection.execute("SELECT pending FROM colbert.pending").fetchall()
    assert pending == [(1,)]


def test_long_documents_are_reported_as_cut_off(run: Run, database: str, lines: WriteLines) -> None:
    path = lines({"id": "long", "text": "word " * 2000}, {"id": "short", "text": "word"})
    loaded = run("load", str(path), "--url", database)
    assert "1 were longer than the model reads" in loaded.stderr


# Interruption


def test_load_interrupted_by_ctrl_c_leaves_whole_batches_and_the_next_run_goes_on(
    run: Run, start: Start, database: str, lines: WriteLines
) -> None:
    path = lines(*({"id": f"{n:03}", "text": f"text number {n}"} for n in range(400)))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            """
            CREATE TABLE documents (id text PRIMARY KEY, content text NOT NULL,
                                    embeddings vector(128)[]);
            CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
              'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END';
            CREATE TRIGGER hold AFTER INSERT ON documents
              FOR EACH ROW WHEN (NEW.id = '300') EXECUTE FUNCTION hold();
            SELECT pg_advisory_lock(1);
            """
        )
        process = start("load", str(path), "--url", database)
        waits = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        wait_for(
            lambda: process.poll() is not None or bool(connection.execute(waits).fetchall()),
            "the third batch to be stored",
        )
        process.send_signal(signal.SIGINT)
        output, messages = process.communicate(timeout=PATIENCE)
        assert process.returncode == 130, messages
        ((stored,),) = connection.execute("SELECT count(*) FROM documents").fetchall()
        assert stored == 256
        assert f"{stored} documents are stored" in messages
        assert "Traceback" not in messages
        assert output == ""
        assert problems(database) == []
        connection.execute("SELECT pg_advisory_unlock(1)")

    loaded = run("load", str(path), "--url", database)
    assert f"{400 - stored} documents added, 0 changed, {stored} as they were" in loaded.stderr
    assert rows(database, "SELECT count(*) FROM documents") == [(400,)]
    assert problems(database) == []
    with psycopg.connect(database) as connection:
        assert [index["method"] for index in Client(connection).indexes()] == ["plaid"]


def test_load_interrupted_while_it_encodes_keeps_what_is_stored(
    run: Run, database: str, lines: WriteLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lines(*({"id": f"{n:03}", "text": f"text number {n}"} for n in range(200)))
    encode = Encoder.encode_documents
    batches = []

    def interrupted(self: Encoder, texts: Sequence[str], **options: Any) -> list[Matrix]:
        batches.append(len(texts))
        if len(batches) == 2:
            raise KeyboardInterrupt
        return encode(self, texts, **options)

    monkeypatch.setattr(Encoder, "encode_documents", interrupted)
    stopped = run("load", str(path), "--url", database, code=130)
    assert "128 documents are stored" in stopped.stderr
    loaded = run("load", str(path), "--url", database)
    assert "72 documents added, 0 changed, 128 as they were" in loaded.stderr
    assert problems(database) == []


def test_terminated_program_leaves_the_embedded_server_stopped(
    start: Start, directory: Path
) -> None:
    process = start("psql", "--data", str(directory), "--no-psqlrc", "--quiet", "-At")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("SELECT 'here';\n")
    process.stdin.flush()
    assert process.stdout.readline() == "here\n"
    process.terminate()
    assert process.wait(timeout=PATIENCE) == 128 + signal.SIGTERM
    assert not (directory / "pgdata" / "postmaster.pid").exists()


# Databases


def test_install_prepares_a_database_and_may_be_repeated(run: Run, bare_database: str) -> None:
    assert run("status", "--url", bare_database).stderr.startswith("colbert_pg is not installed")
    refused = run("install", "--url", bare_database, code=1)
    assert "CREATE EXTENSION vector" in refused.stderr
    run("install", "--with-pgvector", "--url", bare_database)
    run("install", "--url", bare_database)
    status = json.loads(run("status", "--json", "--url", bare_database).stdout)
    assert status["indexes"] == []
    assert status["colbert_pg"] is not None


def test_load_installs_nothing_in_a_database_of_somebody_else(
    run: Run, bare_database: str, corpus: str
) -> None:
    with psycopg.connect(bare_database) as connection:
        connection.execute("CREATE EXTENSION vector")
    refused = run("load", corpus, "--url", bare_database, code=1)
    assert "is not installed in this database" in refused.stderr
    assert rows(bare_database, "SELECT to_regclass('documents')") == [(None,)]


def test_url_may_come_from_the_environment(
    run: Run, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLBERT_PG_URL", database)
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    assert f"dbname={name}" in json.loads(run("status", "--json").stdout)["database"]


def test_embedded_server_is_set_up_by_load_and_stopped_at_the_end(
    run: Run, directory: Path, corpus: str
) -> None:
    run("install", "--data", str(directory))
    run("load", corpus, "--data", str(directory))
    found = run("search", "violin music", "--json", "--data", str(directory))
    assert json.loads(found.stdout)[0]["id"] == "violin"
    status = json.loads(run("status", "--json", "--data", str(directory)).stdout)
    assert status["directory"] == str(directory)
    assert not (directory / "pgdata" / "postmaster.pid").exists()


def test_a_url_may_have_the_driver_that_sqlalchemy_wants(run: Run, database: str) -> None:
    parts = {k: quote(str(v), safe="") for k, v in conninfo_to_dict(database).items()}
    query = "&".join(f"{name}={value}" for name, value in parts.items() if name != "dbname")
    for scheme in ("postgresql+psycopg", "postgres+psycopg_async", "postgresql"):
        url = f"{scheme}:///{parts['dbname']}?{query}"
        status = json.loads(run("status", "--json", "--url", url).stdout)
        assert f"dbname={parts['dbname']}" in status["database"]


def test_an_empty_search_box_finds_nothing(run: Run, database: str, corpus: str) -> None:
    run("load", corpus, "--method", "exact", "--url", database)
    for how in ([], ["--hybrid"], ["--parent", "content"]):
        found = run("search", " ", *how, "--url", database)
        assert (found.stdout.strip(), found.stderr[:11]) == ("", "0 documents")
        assert json.loads(run("search", "", *how, "--json", "--url", database).stdout) == []


def test_the_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version").stdout == f"colbert-pg {version('colbert_pg')}\n"


def test_without_the_extra_the_program_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError('no typer', name='typer')")
    ended = subprocess.run(
        [sys.executable, "-m", "colbert_pg.cli", "status"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert pip_install("cli") in line


def test_psql_takes_the_connection_as_psql_does(
    start: Start, directory: Path, database: str
) -> None:
    def answer(*arguments: str) -> tuple[str, str]:
        process = start("psql", *arguments, "-AtXc", "SELECT current_database(), current_user")
        output, _ = process.communicate(timeout=PATIENCE)
        name, _, user = output.strip().partition("|")
        return name, user

    assert answer("--data", str(directory)) == ("postgres", "postgres")
    for other in (["-d", "template1"], ["--dbname=template1"], ["template1"]):
        assert answer("--data", str(directory), *other) == ("template1", "postgres")
    with EmbeddedServer(directory) as server, psycopg.connect(server.url) as connection:
        connection.execute("CREATE ROLE somebody LOGIN")
    assert answer("--data", str(directory), "-U", "somebody") == ("postgres", "somebody")
    parts = conninfo_to_dict(database)
    for given in (["--url", database], ["-d", database], [database]):
        assert answer(*given) == (parts["dbname"], parts["user"])
    host = ["-h", str(parts["host"]), "-p", str(parts["port"]), "-U", str(parts["user"])]
    assert answer(*host, "-d", "template1") == ("template1", parts["user"])


def test_psql_runs_with_its_own_arguments_and_exit_code(
    start: Start, directory: Path, database: str
) -> None:
    answered = start("psql", "--data", str(directory), "-Atc", "SELECT 6 * 7")
    assert answered.communicate(timeout=PATIENCE)[0] == "42\n"
    assert answered.returncode == 0
    failed = start("psql", "--url", database, "-v", "ON_ERROR_STOP=1", "-c", "SELECT 1/0")
    assert "division by zero" in failed.communicate(timeout=PATIENCE)[1]
    assert failed.returncode == 1


# Errors


@pytest.mark.parametrize(
    "arguments",
    [
        ["search"],
        ["search", "x", "-k", "0"],
        ["load", "/no/such/file.jsonl"],
        ["load", "/etc/passwd", "--method", "magic"],
        ["search", "x", "--url", "postgresql://", "--data", "/somewhere"],
        ["nonsense"],
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_wrong_command_line_ends_with_2(run: Run, arguments: list[str]) -> None:
    assert run(*arguments, code=2).stderr


def test_unreachable_server_is_one_message_without_a_traceback(start: Start) -> None:
    process = start("search", "x", "--url", "postgresql://127.0.0.1:1/nowhere")
    output, messages = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert messages.startswith("Error: ")
    assert "Traceback" not in messages
    assert output == ""


def test_bad_lines_are_named_and_nothing_is_loaded(
    run: Run, database: str, lines: WriteLines
) -> None:
    path = lines(DOCUMENTS[0], "{broken", {"id": "x"})
    refused = run("load", str(path), "--url", database, code=1)
    message = refused.stderr.replace("\n", "")
    assert f"{path}:2: not JSON" in message
    assert f"{path}:3: " in message
    assert rows(database, "SELECT to_regclass('documents')") == [(None,)]


def test_search_before_load_says_what_to_do(run: Run, database: str) -> None:
    refused = run("search", "x", "--url", database, code=1)
    assert "there is no table documents" in refused.stderr
    assert "load" in refused.stderr


def test_table_of_another_layout_is_left_alone(run: Run, database: str, corpus: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE documents (id bigint, body text)")
    assert "another layout" in run("load", corpus, "--url", database, code=1).stderr


def test_vectors_of_another_length_than_the_table_has_are_refused(
    run: Run, database: str, corpus: str
) -> None:
    run("load", corpus, "--url", database)
    refused = run("load", corpus, "--dimensions", "64", "--url", database, code=1)
    assert "vector(128)[]" in refused.stderr
    assert "vector(64)[]" in refused.stderr


def test_vectors_of_another_model_are_refused(run: Run, database: str, corpus: str) -> None:
    run("load", corpus, "--url", database)
    refused = run("load", corpus, "--pool", "3", "--url", database, code=1)
    assert "pool_factor" in refused.stderr


def test_unknown_document_cannot_be_explained(run: Run, database: str, corpus: str) -> None:
    run("load", corpus, "--method", "exact", "--url", database)
    assert "'nowhere'" in run("explain", "x", "--doc", "nowhere", "--url", database, code=1).stderr


def test_error_of_the_database_comes_with_its_hint(run: Run, database: str, corpus: str) -> None:
    run("load", corpus, "--method", "exact", "--url", database)
    refused = run("search", "x", "--filter", "no_such_column = 1", "--url", database, code=1)
    assert "no_such_column" in refused.stderr


# The demonstration


def test_demo_answers_its_questions_and_its_commands_work(
    run: Run, start: Start, directory: Path
) -> None:
    first = run("demo", "--documents", "20", "--data", str(directory))
    assert "read a csv file into dictionaries" in first.stdout
    told = " ".join(first.stdout.split())
    assert "of the true top 10" in told
    measured = re.search(r"20 documents\. .* scored (\d+) of them .* ([\d.]+) times as long", told)
    assert measured is not None
    assert 1 <= int(measured[1]) <= 20
    assert float(measured[2]) > 0
    assert f"psql --data {directory}" in first.stdout
    assert PSQL_QUERY in first.stdout
    again = run("demo", "--documents", "20", "--data", str(directory))
    assert "20 documents were there already" in again.stderr
    commands = [
        shlex.split(line)
        for line in again.stdout.partition("Go on")[2].splitlines()
        if "--data" in line
    ]
    names = [words[words.index("--data") - 1] for words in commands]
    assert names == ["search", "explain", "psql"]
    for words in commands[:2]:
        assert run(*words[words.index("--data") - 1 :]).stdout
    psql = start("psql", "--data", str(directory), "-Atc", PSQL_QUERY)
    answer = psql.communicate(timeout=PATIENCE)[0].splitlines()
    assert psql.returncode == 0
    assert len(answer) == 5


# Hybrid search, snippets, offsets, pages


def test_hybrid_search_finds_by_meaning_and_by_word(run: Run, database: str, corpus: str) -> None:
    run("load", corpus, "--url", database)
    hybrid = ("search", "number 7", "--hybrid", "--language", "english", "--url", database)
    hits = json.loads(run(*hybrid, "--json").stdout)
    assert (hits[0]["id"], hits[0]["text_rank"]) == ("tool-7", 1)
    assert set(hits[0]) == {
        *("id", "content", "score", "maxsim_rank", "maxsim_score", "text_rank", "text_score")
    }
    shown = run(*hybrid, "-k", "1", "--text-weight", "1", "--match", "websearch")
    assert "1. by text" in shown.stdout
    (first,) = json.loads(run(*hybrid, "-k", "1", "--constant", "0", "--json").stdout)
    assert first["score"] == 0.5 / first["maxsim_rank"] + 0.5


def test_a_document_that_only_its_text_finds_is_shown_with_its_text(
    run: Run, database: str, corpus: str
) -> None:
    run("load", corpus, "--url", database)
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE documents SET embeddings = NULL WHERE id = 'moon'")
    found = run("search", "moon", "--hybrid", "-k", "30", "--json", "--url", database)
    (moon,) = [hit for hit in json.loads(found.stdout) if hit["id"] == "moon"]
    assert moon["content"] == TEXTS["moon"]
    assert (moon["maxsim_rank"], moon["text_rank"]) == (None, 1)


def test_search_prints_the_passages_that_answer(run: Run, database: str, lines: WriteLines) -> None:
    filler = "Tables, chairs and other furniture are sold here. " * 8
    path = lines({"id": "long", "text": f"{filler}Astronauts walked on the moon. {filler}"})
    run("load", str(path), "--url", database)
    shown = run("search", "lunar landing", "--url", database)
    heading, *passages = shown.stdout.splitlines()
    assert "long" in heading
    assert any("Astronauts walked on the moon" in passage for passage in passages)
    assert all(len(passage) <= 120 for passage in passages)


def test_a_document_cannot_send_commands_to_the_terminal(
    run: Run, database: str, lines: WriteLines
) -> None:
    hostile = "The \x1b]0;owned\x07 moon\x9b31m is\x7f\r far \x1b[2J away."
    run("load", str(lines({"id": "moon\x1b[1A", "text": hostile})), "--url", database)
    for shown in (
        run("search", "moon", "--url", database),
        run("explain", "moon", "--doc", "moon\x1b[1A", "--url", database),
    ):
        assert "[2J away." in shown.stdout
        assert not [c for c in shown.stdout if unicodedata.category(c) == "Cc" and c not in "\n\t"]


def test_offsets_are_stored_on_demand_and_kept_by_later_runs(
    run: Run, database: str, corpus: str, lines: WriteLines
) -> None:
    run("load", corpus, "--offsets", "--url", database)
    changed = {"id": "moon", "text": "A lunar eclipse."}
    run("load", str(lines(changed, {"id": "new", "text": "Brand new."})), "--url", database)
    cut = rows(
        database,
        "SELECT id, ARRAY(SELECT substr(d.content, lower(o), upper(o) - lower(o))"
        "                   FROM unnest(d.offsets) AS o),"
        "       cardinality(offsets), cardinality(embeddings)"
        "  FROM documents d WHERE id IN ('moon', 'new', 'cake') ORDER BY id",
    )
    assert [words[1:-1] for _, words, _, _ in cut] == [
        ["Ba", "ke", "the", "chocolate", "cake", "for", "forty", "minutes", "."],
        ["A", "lunar", "eclipse", "."],
        ["Brand", "new", "."],
    ]
    assert all(words[0] is None and offsets == tokens for _, words, offsets, tokens in cut)
    refused = run(
        "load", corpus, "--offsets", "--pool", "2", "--table", "x", "--url", database, code=1
    )
    assert "pooled vectors" in refused.stderr
    run("load", corpus, "--table", "plain", "--url", database)
    refused = run("load", corpus, "--offsets", "--table", "plain", "--url", database, code=1)
    assert "no column offsets" in refused.stderr


def test_an_explanation_becomes_a_page(
    run: Run, database: str, corpus: str, tmp_path: Path
) -> None:
    run("load", corpus, "--url", database)
    page = tmp_path / "moon.html"
    explain = ("explain", "lunar astronaut", "--doc", "moon", "--url", database)
    written = run(*explain, "--html", str(page))
    assert written.stdout == ""
    assert "moon.html" in written.stderr.replace("\n", "")  # a long path is wrapped
    html = page.read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert ">Astronauts</span>" in html
    for nothing in ("NULL", "'{}'"):
        with psycopg.connect(database) as connection:
            connection.execute(
                f"UPDATE documents SET embeddings = {nothing} WHERE id = 'moon'".encode()
            )
        refused = run(*explain, "--html", str(page), code=1)
        assert "no vectors" in refused.stderr
