"""Pages of PDF files and pictures, from the file to what a search says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from colbert_pg.encoder import Encoder, pool
from tests.cli.conftest import Run, WriteLines
from tests.pictures import locked_pdf, pdf, save_colqwen2, save_gemma3

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("pypdfium2")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("colqwen2")
    save_colqwen2(path)
    return str(path)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "figures").mkdir()
    (tmp_path / "report.pdf").write_bytes(pdf("a cat", "", "a dog"))
    Image.radial_gradient("L").save(tmp_path / "figures/fig.png")
    return tmp_path


def rows(database: str, columns: str) -> list[Any]:
    with psycopg.connect(database) as connection:
        statement = f"SELECT {columns} FROM documents ORDER BY file, page"
        return connection.execute(statement.encode()).fetchall()


def said(result: Any) -> str:
    return " ".join(result.stderr.split())


def test_a_row_for_each_page_and_picture_and_search_names_them(
    run: Run, database: str, files: Path, model: str
) -> None:
    at = ("--model", model, "--url", database)
    loaded = run("load", "report.pdf", "figures/fig.png", *at, code=1)
    assert "3 pages added" in said(loaded)
    assert "report.pdf#2: the page is empty" in said(loaded)
    assert rows(database, "id, file, page, width, height") == [
        ("figures/fig.png", "figures/fig.png", 1, 256, 256),
        ("report.pdf#1", "report.pdf", 1, 417, 209),
        ("report.pdf#3", "report.pdf", 3, 417, 209),
    ]
    hits = json.loads(run("search", "a cat", "--json", *at).stdout)
    assert {(hit["file"], hit["page"]) for hit in hits} == {
        ("figures/fig.png", 1),
        ("report.pdf", 1),
        ("report.pdf", 3),
    }
    assert [hit["score"] for hit in hits] == sorted((h["score"] for h in hits), reverse=True)
    assert "report.pdf, page 3" in run("search", "a cat", *at).stdout


def test_a_page_is_explained_patch_by_patch_from_the_file_that_was_loaded(
    run: Run, database: str, files: Path, model: str
) -> None:
    at = ("--model", model, "--url", database)
    run("load", "report.pdf", "figures/fig.png", *at, code=1)
    explain = ("explain", "a cat", "--doc", "report.pdf#3", *at)
    shown = run(*explain).stdout
    assert "document report.pdf#3" in shown
    assert "cat" in shown
    run(*explain, "--html", "page.html")
    html = (files / "page.html").read_text(encoding="utf-8")
    assert "data:image/jpeg;base64," in html
    patches = Encoder(model, device="cpu").picture_tokens("figures/fig.png")
    run(*explain[:3], "figures/fig.png", *at, "--html", "picture.html")
    html = (files / "picture.html").read_text(encoding="utf-8")
    assert html.count('class="word patch"') == sum("row" in patch.text for patch in patches)
    assert "'report.pdf#2'" in said(run(*explain[:3], "report.pdf#2", *at, code=1))

    (files / "report.pdf").write_bytes(pdf("a cat", "", "a bird"))
    assert "report.pdf has changed since it was loaded" in said(run(*explain, code=1))
    (files / "report.pdf").unlink()
    assert "report.pdf cannot be read" in said(run(*explain, code=1))


def test_stored_vectors_are_those_of_the_encoder(
    run: Run, database: str, files: Path, model: str
) -> None:
    run("load", "figures/fig.png", "--model", model, "--url", database)
    encoder = Encoder(model, device="cpu")
    ((stored,),) = rows(database, "embeddings::text")
    (expected,) = encoder.encode_pictures(["figures/fig.png"])
    values = np.array(json.loads("[" + stored[1:-1].replace('"', "") + "]"))
    assert values.shape == expected.shape
    np.testing.assert_allclose(values, expected, atol=1e-5)


def test_a_second_run_encodes_only_what_is_new_or_changed(
    run: Run, database: str, files: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = ("--model", model, "--url", database)
    (files / "report.pdf").write_bytes(pdf("a cat", "a dog"))
    run("load", "report.pdf", *at)
    encoded = []
    encode = Encoder.encode_pictures

    def counting(encoder: Encoder, pictures: Any, **options: Any) -> Any:
        encoded.append(len(pictures))
        return encode(encoder, pictures, **options)

    monkeypatch.setattr(Encoder, "encode_pictures", counting)
    again = run("load", "report.pdf", "figures/fig.png", *at)
    assert "1 pages added, 0 changed, 2 as they were, 0 removed" in said(again)
    assert sum(encoded) == 1
    (files / "report.pdf").write_bytes(pdf("a dog"))
    changed = run("load", "report.pdf", *at)
    assert "0 pages added, 1 changed, 0 as they were, 1 removed" in said(changed)
    assert rows(database, "id") == [("figures/fig.png",), ("report.pdf#1",)]


def test_after_an_interruption_what_is_stored_stays_and_a_second_run_goes_on(
    run: Run, database: str, files: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = ("--model", model, "--url", database)
    (files / "report.pdf").write_bytes(pdf(*["a cat"] * 10))
    encode = Encoder.encode_pictures
    calls = []

    def interrupted(encoder: Encoder, pictures: Any, **options: Any) -> Any:
        calls.append(len(pictures))
        if len(calls) == 3:  # the first is the question whether the model takes pictures
            raise KeyboardInterrupt
        return encode(encoder, pictures, **options)

    monkeypatch.setattr(Encoder, "encode_pictures", interrupted)
    stopped = run("load", "report.pdf", *at, code=130)
    assert "Interrupted: 8 documents are stored" in said(stopped)
    monkeypatch.setattr(Encoder, "encode_pictures", encode)
    again = run("load", "report.pdf", *at)
    assert "2 pages added, 0 changed, 8 as they were" in said(again)


def test_bad_files_are_named_and_the_others_are_loaded(
    run: Run, database: str, files: Path, model: str
) -> None:
    (files / "broken.pdf").write_bytes(pdf("a cat")[:60])
    (files / "locked.pdf").write_bytes(locked_pdf())
    (files / "text.png").write_text("no picture")
    Image.new("RGB", (1, 1)).save(files / "dot.png")
    Image.new("1", (10_000, 10_000)).save(files / "huge.png")
    Image.radial_gradient("L").resize((4000, 8)).save(files / "strip.png")
    bad = ("broken.pdf", "locked.pdf", "text.png", "dot.png", "huge.png", "strip.png")
    at = ("--model", model, "--url", database)
    loaded = run("load", *bad, "figures/fig.png", *at, code=1)
    assert "1 pages added" in said(loaded)
    assert "broken.pdf: not a PDF that can be read" in said(loaded)
    assert "locked.pdf: wants a password" in said(loaded)
    assert "text.png: not a picture that can be read" in said(loaded)
    assert "dot.png: 1 x 1 pixels" in said(loaded)
    assert "huge.png: 10000 x 10000 pixels" in said(loaded)
    assert "strip.png: " in said(loaded)
    assert "6 files or pages were left out" in said(loaded)
    assert rows(database, "file") == [("figures/fig.png",)]


def test_a_model_that_takes_no_pictures_is_refused_before_a_table_is_made(
    run: Run, database: str, files: Path
) -> None:
    refused = run("load", "report.pdf", "--url", database, code=1)
    assert "takes no pictures: choose one that does" in said(refused)
    with psycopg.connect(database) as connection:
        (found,) = connection.execute("SELECT to_regclass('documents')").fetchone() or ()
    assert found is None


def test_pages_do_not_go_among_texts_of_another_model_nor_chunks_and_lines_not_beside_them(
    run: Run, database: str, files: Path, model: str, lines: WriteLines
) -> None:
    texts = str(lines({"id": "a", "text": "one"}))
    run("load", texts, "--url", database)
    at = ("--model", model, "--url", database)
    assert "come from another model" in said(run("load", "report.pdf", *at, code=1))
    with psycopg.connect(database) as connection:
        connection.execute("SELECT id, content, embeddings FROM documents")
        columns = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'documents'::regclass"
        assert connection.execute(columns + " AND attnum > 0").fetchone() == (3,)
    save_gemma3(files / "both")
    both = ("--model", str(files / "both"), "--url", database, "--table", "chunks")
    run("load", texts, "--chunk", "9", "--overlap", "0", *both)
    assert "holds no pages" in said(run("load", "report.pdf", *both, code=1))
    assert "one file of JSON lines" in said(run("load", "report.pdf", texts, *at, code=2))
    assert "are for texts" in said(run("load", "report.pdf", "--chunk", "9", *at, code=2))
    run("load", "figures/fig.png", "--table", "pages", *at)
    other = run("load", "figures/fig.png", "--table", "pages", "--half", *at, code=1)
    assert "holds vectors of another length or type" in said(other)


def test_a_first_stage_is_loaded_in_the_same_pass_and_names_the_candidates(
    run: Run, database: str, files: Path, model: str
) -> None:
    at = ("--model", model, "--url", database)
    (files / "report.pdf").write_bytes(pdf("a cat", "a dog"))
    run("load", "report.pdf", "--half", "--first-stage", "2", *at)
    (loaded, *_) = rows(database, "cardinality(embeddings), cardinality(pooled), pooled::text")
    assert loaded[1] == pytest.approx(loaded[0] / 2, abs=2)
    (vectors, *_) = Encoder(model, device="cpu").encode_pictures(["figures/fig.png"])
    with psycopg.connect(database) as connection:
        indexes = connection.execute(
            "SELECT embeddings, method, state, options ->> 'first_stage',"
            " options -> 'model' ->> 'pool_factor' FROM colbert.indexes ORDER BY 1"
        ).fetchall()
    assert indexes == [
        ("embeddings", "staged", "ready", "pooled", "1"),
        ("pooled", "plaid", "ready", None, "2.0"),
    ]
    # A second run knows the factor, and leaves the indexes as they are.
    again = run("load", "report.pdf", "figures/fig.png", *at)
    assert "1 pages added, 0 changed, 2 as they were" in said(again)
    ((stored, *_), *_) = rows(database, "pooled::text")
    values = np.array(json.loads("[" + stored[1:-1].replace('"', "") + "]"))
    np.testing.assert_allclose(values, pool(vectors, 2), atol=1e-3)
    hits = json.loads(run("search", "a cat", "--json", *at).stdout)
    assert len(hits) == 3
    by_hnsw = run("load", "report.pdf", "--method", "hnsw", *at)
    assert "2 as they were" in said(by_hnsw)
    assert len(json.loads(run("search", "a cat", "--json", *at).stdout)) == 3
    other = run("load", "report.pdf", "--first-stage", "3", *at, code=1)
    assert "load it as before" in said(other)
    run("load", "report.pdf", "--table", "plain", *at)
    without = run("load", "report.pdf", "--table", "plain", "--first-stage", "3", *at, code=1)
    assert "without a first stage" in said(without)


def test_a_first_stage_is_for_pages(run: Run, database: str, files: Path) -> None:
    (files / "texts.jsonl").write_text('{"id": "1", "text": "a cat"}\n')
    refused = run("load", "texts.jsonl", "--first-stage", "2", "--url", database, code=2)
    assert "--first-stage is for pages" in said(refused)


@pytest.mark.parametrize("first", ["pages", "texts"])
def test_texts_and_pages_are_in_one_table_if_the_model_takes_both(
    run: Run, database: str, files: Path, lines: WriteLines, tmp_path: Path, first: str
) -> None:
    save_gemma3(tmp_path / "both")
    at = ("--model", str(tmp_path / "both"), "--url", database)
    notes = str(lines({"id": "note", "text": "a dog"}, {"id": "memo", "text": "the bird"}))
    loads = [("load", "figures/fig.png", *at), ("load", notes, *at)]
    for load in loads if first == "pages" else reversed(loads):
        run(*load)
    assert "1 as they were" in said(run(*loads[0]))
    assert "2 as they were" in said(run(*loads[1]))

    hits = {hit["id"]: hit for hit in json.loads(run("search", "a dog", "--json", *at).stdout)}
    assert hits.keys() == {"figures/fig.png", "note", "memo"}
    assert hits["figures/fig.png"].keys() == {"id", "file", "page", "score"}
    assert hits["note"]["content"] == "a dog"
    shown = run("search", "a dog", *at).stdout
    assert "figures/fig.png, page 1" in shown
    assert "the bird" in shown
    assert "dog" in run("explain", "a dog", "--doc", "note", *at).stdout
    run("explain", "a dog", "--doc", "figures/fig.png", *at, "--html", "picture.html")
    assert (files / "picture.html").read_text(encoding="utf-8").count('class="word patch"') == 4
    with psycopg.connect(database) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("UPDATE documents SET content = 'x' WHERE id = 'figures/fig.png'")


def test_a_model_of_pictures_alone_takes_no_texts(
    run: Run, database: str, files: Path, lines: WriteLines, model: str
) -> None:
    notes = str(lines({"id": "note", "text": "a dog"}))
    refused = run("load", notes, "--model", model, "--url", database, code=1)
    assert "takes pictures alone as documents" in said(refused)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT to_regclass('documents') IS NULL").fetchone() == (True,)
