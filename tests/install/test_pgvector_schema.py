"""colbert_pg works with pgvector in any schema, and goes on when pgvector moves to another."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from tests.installing import install_with_psql
from tests.sql.documents import METHODS

DOCUMENTS = {1: ["[1,0,0]", "[0,1,0]"], 2: ["[0,1,0]", "[0,0,1]"], 3: ["[0,0,1]"]}
QUERY = ["[1,0,0]", "[0,1,0]"]
FOUND = [(1, 2.0), (2, 1.0), (3, 0.0)]


class Notes:
    """A table of notes on a connection that finds no schema by itself."""

    def __init__(self, connection: psycopg.Connection, schema: str) -> None:
        self.connection = connection
        self.schema = schema
        connection.execute("SET search_path = ''")

    def run(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Execute a statement, {v} in it being pgvector's schema."""
        query = sql.SQL(statement).format(v=sql.Identifier(self.schema))
        cursor = self.connection.execute(query, values)
        return cursor.fetchall() if cursor.description else []

    def create(self, method: str) -> None:
        self.run(
            "CREATE TABLE public.notes (id bigint PRIMARY KEY, embeddings {v}.vector(3)[] NOT NULL)"
        )
        self.fill()
        self.run("SELECT colbert.create_index('public.notes', method => %s)", method)

    def fill(self) -> None:
        for key, vectors in DOCUMENTS.items():
            self.run("INSERT INTO public.notes VALUES (%s, %s::text[]::{v}.vector[])", key, vectors)

    def search(self) -> list[tuple[object, ...]]:
        return self.run(
            "SELECT doc_id, score FROM colbert.search('public.notes', %s::text[]::{v}.vector[])",
            QUERY,
        )

    def work(self) -> None:
        """Use every part: triggers, search, the check, a rebuild."""
        self.run("DELETE FROM public.notes")
        assert self.search() == []
        self.fill()
        assert self.search() == FOUND
        self.run("UPDATE public.notes SET embeddings = embeddings")
        assert self.run("SELECT * FROM colbert.check_index('public.notes')") == []
        self.run("SELECT colbert.reindex('public.notes')")
        assert self.search() == FOUND
        assert self.run(
            "SELECT colbert.maxsim(%s::text[]::{v}.vector[], embeddings), "
            "       colbert.maxsim(%s::text[]::{v}.halfvec[], embeddings::{v}.halfvec[]) "
            "  FROM public.notes ORDER BY id",
            QUERY,
            QUERY,
        ) == [(score, score) for _, score in FOUND]


@pytest.fixture(params=["public", "Extra s"])
def notes(request: pytest.FixtureRequest, bare_database: str) -> Iterator[Notes]:
    with psycopg.connect(bare_database) as connection:
        schema = sql.Identifier(request.param)
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
        connection.execute(sql.SQL("CREATE EXTENSION vector SCHEMA {}").format(schema))
    install_with_psql(bare_database)
    with psycopg.connect(bare_database, autocommit=True) as connection:
        yield Notes(connection, request.param)


@pytest.mark.parametrize("method", METHODS)
def test_everything_works_where_pgvector_is(method: str, notes: Notes) -> None:
    notes.create(method)
    notes.work()


@pytest.mark.parametrize("method", METHODS)
def test_everything_works_after_pgvector_moved(method: str, notes: Notes) -> None:
    notes.create(method)
    notes.run("CREATE SCHEMA moved")
    notes.run("ALTER EXTENSION vector SET SCHEMA moved")
    notes.schema = "moved"
    notes.work()
    notes.run("SELECT colbert.drop_index('public.notes')")
    notes.run("DROP TABLE public.notes")
    notes.create(method)
    notes.work()
