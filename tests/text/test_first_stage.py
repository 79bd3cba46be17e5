"""Texts and pictures whose worker fills a first stage, too: both columns in one statement."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import psycopg
import pytest

from colbert_pg import Client, Worker
from colbert_pg.encoding import pool
from colbert_pg.worker import Done
from tests.client.words import WordEncoder
from tests.sql.documents import hint, primary, problems, refusal, run
from tests.text.conftest import claim, fail, pending, store

Connection = psycopg.Connection[Any]
ONE, TWO = '{"[1,0,0]", "[0,1,0]"}', '{"[0,0,1]"}'
BOTH = "SELECT embeddings::text[], pooled::text[] FROM documents WHERE id = 1"


def create(
    connection: Connection,
    stage: str = "pooled vector(3)[]",
    *,
    dimensions: int = 3,
    model: str = '{"pool_factor": 2}',
    column: str = "content text",
    option: str = "text",
) -> None:
    """Table documents, empty; its index finds candidates by another column."""
    name, content = stage.split()[0], column.split()[0]
    run(
        connection,
        f"CREATE TABLE documents (id bigint PRIMARY KEY, {column},"
        f" embeddings vector({dimensions})[], {stage})",
    )
    run(
        connection,
        f"SELECT colbert.create_index('documents', '{name}',"
        " options => jsonb_build_object('model', %s::jsonb))",
        model,
    )
    run(
        connection,
        "SELECT colbert.create_index('documents',"
        f""" options => '{{"first_stage": "{name}", "{option}": "{content}"}}')""",
    )


@pytest.fixture
def staged(connection: Connection) -> Connection:
    """A connection with a table of three pending texts."""
    create(connection)
    run(connection, "INSERT INTO documents VALUES (1, 'one'), (2, 'two'), (3, 'three')")
    return connection


def store_both(connection: Connection, doc_id: str, content: str) -> bool:
    [(stored,)] = run(
        connection,
        "SELECT colbert.store_encoded('documents', %s, %s, %s::vector[],"
        " first_stage => %s::vector[])",
        doc_id,
        content,
        ONE,
        TWO,
    )
    return bool(stored)


# In SQL


def test_both_columns_are_stored_at_once_and_a_document_is_pending_once(
    staged: Connection,
) -> None:
    assert run(staged, "SELECT embeddings, pending FROM colbert.pending") == [("embeddings", 3)]
    assert claim(staged) == ["1", "2", "3"]
    assert store_both(staged, "1", "one")
    assert run(staged, BOTH) == [(["[1,0,0]", "[0,1,0]"], ["[0,0,1]"])]
    assert not store_both(staged, "1", "one")
    assert not store_both(staged, "2", "zwei")
    assert fail(staged, "2", "two")
    assert run(staged, "SELECT embeddings, doc_id FROM colbert.failures") == [("embeddings", "2")]
    assert pending(staged) == [2, 3]
    assert claim(staged) == []
    assert problems(staged) == []


def test_vectors_without_those_of_the_first_stage_are_refused(staged: Connection) -> None:
    error = refusal(
        staged, "SELECT colbert.store_encoded('documents', '1', 'one', %s::vector[])", ONE
    )
    assert (error.sqlstate, error.diag.constraint_name) == (
        "23514",
        "documents_embeddings_first_stage",
    )
    assert store(staged, "1", "one", "{}")


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ("content = 'uno'", "neither"),
        ("content = 'uno', embeddings = '{\"[0,1,0]\"}'", "neither"),
        ("content = 'uno', pooled = '{\"[0,1,0]\"}'", "neither"),
        ("content = 'uno', embeddings = '{\"[0,1,0]\"}', pooled = '{\"[0,1,0]\"}'", "both"),
        ("content = 'one', pooled = '{\"[0,1,0]\"}'", "both"),
    ],
)
def test_a_text_that_changes_takes_both_along_unless_the_writer_sets_both(
    staged: Connection, change: str, kept: str
) -> None:
    store_both(staged, "1", "one")
    run(staged, f"UPDATE documents SET {change} WHERE id = 1")
    [(embeddings, pooled)] = run(staged, BOTH)
    if kept == "neither":
        assert (embeddings, pooled) == (None, None)
        assert claim(staged) == ["1", "2", "3"]
    else:
        assert pooled == ["[0,1,0]"]
        assert embeddings is not None
    for column in ("embeddings", "pooled"):
        assert run(staged, f"SELECT * FROM colbert.check_index('documents', '{column}')") == []


@pytest.mark.parametrize("always", [True, False])
def test_a_column_that_the_table_fills_is_left_to_it(connection: Connection, always: bool) -> None:
    """As a generated column, or by a trigger."""
    generated = " GENERATED ALWAYS AS (colbert.binary_quantize(embeddings)) STORED"
    create(connection, f"bits bit(3)[]{generated if always else ''}", model='"words"')
    if not always:
        run(
            connection,
            "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " NEW.bits := colbert.binary_quantize(NEW.embeddings); RETURN NEW; END $$;"
            "CREATE TRIGGER fill BEFORE INSERT OR UPDATE ON documents"
            " FOR EACH ROW EXECUTE FUNCTION fill()",
        )
    run(connection, "INSERT INTO documents (id, content) VALUES (1, 'one')")
    assert store(connection, "1", "one", ONE)
    bits = "SELECT bits::text[] FROM documents"
    assert run(connection, bits) == [(["100", "010"],)]
    run(connection, "UPDATE documents SET content = 'uno'")
    assert run(connection, bits) == [(None,)]
    run(connection, "UPDATE documents SET content = 'due', embeddings = %s::vector[]", TWO)
    assert run(connection, bits) == [(["001"],)]
    assert pending(connection) == []


def test_vectors_of_a_first_stage_are_refused_where_nobody_writes_it(
    connection: Connection, texts: Connection
) -> None:
    statement = "SELECT colbert.store_encoded('documents', '1', 'one', '{}', first_stage => '{}')"
    error = refusal(texts, statement)
    assert (error.sqlstate, "has no first stage" in primary(error)) == ("22023", True)
    run(texts, "SELECT colbert.drop_index('documents'); DROP TABLE documents")
    generated = "GENERATED ALWAYS AS (colbert.binary_quantize(embeddings)) STORED"
    create(connection, f"bits bit(3)[] {generated}", model='"words"')
    error = refusal(connection, statement)
    assert (error.sqlstate, "generated column" in hint(error)) == ("22023", True)


def test_a_first_stage_that_is_encoded_by_itself_or_never_null_is_refused(
    connection: Connection,
) -> None:
    create(connection)
    run(connection, "SELECT colbert.drop_index('documents')")
    statement = (
        "SELECT colbert.create_index('documents',"
        """ options => '{"first_stage": "pooled", "text": "content"}')"""
    )
    run(connection, "ALTER TABLE documents ALTER pooled SET NOT NULL")
    error = refusal(connection, statement)
    assert (error.sqlstate, hint(error)) == (
        "55000",
        "ALTER TABLE public.documents ALTER pooled DROP NOT NULL",
    )
    run(connection, "ALTER TABLE documents ALTER pooled DROP NOT NULL")
    run(connection, "SELECT colbert.drop_index('documents', 'pooled')")
    run(
        connection,
        "SELECT colbert.create_index('documents', 'pooled', options => '{\"text\": \"content\"}')",
    )
    error = refusal(connection, statement)
    assert error.sqlstate == "55000"
    assert primary(error).endswith("its index has texts or pictures of its own for workers")


# By a worker


@pytest.fixture
def plain(own_connection: Connection) -> Connection:
    own_connection.autocommit = True
    return own_connection


def expected(stage: str, vectors: Any) -> Any:
    if stage == "pooled":
        return pool(vectors, 2)
    if stage == "bits":
        return (pool(vectors, 2) > 0).astype(np.float32)
    return vectors[:, :8] / np.linalg.norm(vectors[:, :8], axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("stage", "model"),
    [
        ("pooled halfvec(32)[]", '{"pool_factor": 2}'),
        ("bits bit(32)[]", '{"pool_factor": 2}'),
        ("short vector(8)[]", "null"),
    ],
)
def test_a_worker_fills_both_columns_and_what_it_encodes_is_found(
    plain: Connection, stage: str, model: str
) -> None:
    pytest.importorskip("sentence_transformers")
    create(plain, stage, dimensions=32, model=model)
    name = stage.split()[0]
    texts = ["a cat sat on the mat", "stocks fell sharply on monday", ""]
    encoder = WordEncoder()
    run(
        plain,
        "INSERT INTO documents SELECT n, t FROM unnest(%s::text[]) WITH ORDINALITY u (t, n)",
        texts,
    )
    assert Worker(plain, encoder).drain() == Done(encoded=3)
    run(plain, "UPDATE documents SET content = 'the dog ran to the cat' WHERE id = 1")
    assert run(plain, f"SELECT {name} IS NULL FROM documents WHERE id = 1") == [(True,)]
    assert Worker(plain, encoder, ["documents"]).drain() == Done(encoded=1)

    numbers = run(plain, f"SELECT {name}::text[] FROM documents ORDER BY id")
    parse = list if name == "bits" else json.loads
    texts[0] = "the dog ran to the cat"
    for text, (found,) in zip(texts[:2], numbers, strict=False):
        rows = np.array([parse(row) for row in found], dtype=np.float32)
        (vectors,) = encoder.encode_documents([text])
        np.testing.assert_allclose(rows, expected(name, vectors), atol=1e-3)
    assert numbers[2] == ([],)
    (best, *_) = Client(plain, encoder).search("documents", "dog", k=1)
    assert (best.doc_id, round(best.score, 4)) == (1, 1)
    for column in ("embeddings", name):
        assert run(plain, f"SELECT * FROM colbert.check_index('documents', '{column}')") == []


def test_a_first_stage_that_a_worker_cannot_make_is_a_failure_of_its_document(
    plain: Connection,
) -> None:
    pytest.importorskip("sentence_transformers")
    create(plain, "pooled vector(32)[]", dimensions=32, model='{"pool_factor": 0.5}')
    run(plain, "INSERT INTO documents VALUES (1, 'a cat')")
    assert Worker(plain, WordEncoder()).drain() == Done(failed=1)
    run(plain, "SELECT colbert.drop_index('documents')")
    run(plain, "SELECT colbert.drop_index('documents', 'pooled'); DROP TABLE documents")
    create(plain, "pooled vector(32)[]", dimensions=32, model='{"pool_factor": "two"}')
    run(plain, "INSERT INTO documents VALUES (1, 'a cat')")
    assert Worker(plain, WordEncoder()).drain() == Done(failed=1)
    [(error,)] = run(plain, "SELECT error FROM colbert.failures")
    assert "documents_embeddings_first_stage" in error
