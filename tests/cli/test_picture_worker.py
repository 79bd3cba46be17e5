"""A worker that encodes pictures, by command line and with a model of random weights."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from colbert_pg import Client, Worker
from colbert_pg.encoder import Encoder
from tests.cli.conftest import Run
from tests.pictures import save_colpali
from tests.sql.documents import run as sql

Image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("colpali")
    save_colpali(path)
    return str(path)


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def png(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


def create(connection: psycopg.Connection[Any], kind: str, *scans: bytes | str) -> None:
    sql(
        connection,
        "CREATE TABLE pages (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        f" scan {kind}, embeddings vector(128)[])",
    )
    sql(connection, "SELECT colbert.create_index('pages', options => '{\"pictures\": \"scan\"}')")
    for scan in scans:
        sql(connection, "INSERT INTO pages (scan) VALUES (%s)", scan)


def said(result: Any) -> str:
    return " ".join(result.stderr.split())


def test_pictures_that_are_inserted_are_encoded_and_found_by_a_text(
    run: Run, database: str, connection: psycopg.Connection[Any], model: str
) -> None:
    at = ("worker", "--once", "--url", database)
    create(connection, "bytea", png(1), png(2), b"no picture")
    first = run(*at, "--model", model, code=1)
    assert "2 documents encoded, 1 failed" in said(first)
    stored = Client(connection).embeddings("pages", [1, 2])
    encoder = Encoder(model, device="cpu")
    for matrix, expected in zip(stored, encoder.encode_pictures([png(1), png(2)]), strict=True):
        assert matrix is not None
        np.testing.assert_allclose(matrix, expected, atol=1e-5)
    sql(connection, "SELECT colbert.request_query('the cat', 'pages')")
    run(*at, "--model", model)
    found = sql(connection, "SELECT doc_id, score FROM colbert.search_text('pages', 'the cat')")
    (query,) = encoder.encode_queries(["the cat"])
    scores = {
        doc_id: float((query @ matrix.T).max(axis=1).sum())
        for doc_id, matrix in zip((1, 2), stored, strict=True)
        if matrix is not None
    }
    best_first = sorted(scores, key=lambda doc_id: -scores[doc_id])
    assert [doc_id for doc_id, _ in found] == best_first
    np.testing.assert_allclose(
        [score for _, score in found], [scores[i] for i in best_first], atol=1e-4
    )


def test_paths_are_read_in_the_directory_that_the_worker_is_given(
    run: Run, database: str, connection: psycopg.Connection[Any], model: str, tmp_path: Path
) -> None:
    at = ("worker", "--once", "--url", database, "--model", model)
    (tmp_path / "one.png").write_bytes(png(1))
    create(connection, "text", "one.png", "two.png")
    assert "0 documents encoded, 0 failed" in said(run(*at))
    refused = run(*at, "--table", "pages", code=1)
    assert "the pictures of table pages are paths" in said(refused)
    assert "--pictures" in said(refused)
    done = run(*at, "--pictures", str(tmp_path), code=1)
    assert "1 documents encoded, 1 failed" in said(done)
    assert sql(connection, "SELECT doc_id, error FROM colbert.failures") == [
        ("2", "two.png: no such file in the directory of pictures")
    ]


def test_a_model_that_takes_pictures_alone_leaves_texts_to_others(
    connection: psycopg.Connection[Any], model: str
) -> None:
    sql(connection, "CREATE TABLE notes (id int PRIMARY KEY, body text, embeddings vector(128)[])")
    sql(connection, "SELECT colbert.create_index('notes', options => '{\"text\": \"body\"}')")
    sql(connection, "INSERT INTO notes VALUES (1, 'a cat')")
    encoder = Encoder(model, device="cpu")
    assert Worker(connection, encoder).drain() == (0, 0, 0)
    with pytest.raises(ValueError, match="notes is of texts, and the model takes pictures alone"):
        Worker(connection, encoder, ["notes"]).drain()
    assert sql(connection, "SELECT model, encoding FROM colbert.pending") == [(None, 0)]


def test_a_model_that_takes_no_pictures_is_refused_where_the_table_is_named(
    run: Run, database: str, connection: psycopg.Connection[Any]
) -> None:
    create(connection, "bytea", png(1))
    at = ("worker", "--once", "--url", database)
    assert "0 documents encoded, 0 failed" in said(run(*at))
    refused = run(*at, "--table", "pages", code=1)
    assert "table pages is of pictures, and the model takes none" in said(refused)


@pytest.mark.parametrize("kind", ["bytea", "text"])
def test_a_picture_that_a_worker_encoded_is_explained(
    run: Run,
    database: str,
    connection: psycopg.Connection[Any],
    model: str,
    tmp_path: Path,
    kind: str,
) -> None:
    (tmp_path / "one.png").write_bytes(png(1))
    create(connection, kind, png(1) if kind == "bytea" else "one.png")
    at = ("--url", database, "--model", model, "--pictures", str(tmp_path))
    run("worker", "--once", *at)
    html = tmp_path / "page.html"
    explain = ("explain", "the cat", "--doc", "1", "--table", "pages", *at)
    run(*explain, "--html", str(html))
    assert html.read_text(encoding="utf-8").count('class="word patch"') == 16
    assert "no document with the id '2'" in said(run(*explain[:3], "2", *explain[4:], code=1))
    if kind == "text":
        sql(connection, "UPDATE pages SET scan = '/etc/passwd'")
        assert "outside the directory of pictures" in said(run(*explain, code=1))
