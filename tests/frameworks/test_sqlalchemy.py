"""maxsim and search as SQLAlchemy expressions, through every driver that has a dialect for them."""

from __future__ import annotations

import asyncio
import datetime
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import psycopg
import pytest
from pgvector.asyncpg import register_vector as register_codec
from pgvector.psycopg import register_vector, register_vector_async
from pgvector.sqlalchemy import HALFVEC, VECTOR
from sqlalchemy import (
    BigInteger,
    Engine,
    Identity,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    select,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, mapped_column
from sqlalchemy.pool import NullPool

from colbert_pg.sqlalchemy import maxsim, search, token_array
from colbert_pg.vectors import Matrix
from tests.client.words import WordEncoder
from tests.client.words import maxsim as expected_score
from tests.servers import driver_url

TEXTS = ["a cat sat on the mat", "the dog chased the cat", "stocks fell", "rain on monday"]
encoder = WordEncoder(64)

Run = Callable[[Callable[[Session], None]], None]


def vectors(words: str) -> Matrix:
    return encoder.encode_queries([words])[0]


class Base(DeclarativeBase):
    pass


class Document(Base):
    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    content: Mapped[str]
    lang: Mapped[str] = mapped_column(default="en")
    embeddings: Mapped[Any] = mapped_column(ARRAY(VECTOR(64), dimensions=1), nullable=True)


class Note(Base):
    """A uuid for a key, halves, a second key, a schema and a name to be quoted."""

    __tablename__ = "My Notes"
    __table_args__ = ({"schema": "App"},)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    slug: Mapped[str] = mapped_column(String(50), unique=True)
    halves: Mapped[Any] = mapped_column(ARRAY(HALFVEC(64), dimensions=1), nullable=True)
    title: Mapped[Any] = mapped_column(ARRAY(VECTOR(64), dimensions=1), nullable=True)


def fill(session: Session) -> None:
    """Four documents with the keys 1 to 4, indexed."""
    session.execute(text('CREATE SCHEMA "App"'))
    Base.metadata.create_all(session.connection())
    for content in TEXTS:
        session.add(
            Document(
                content=content,
                lang="de" if "cat" in content else "en",
                embeddings=token_array(vectors(content)),
            )
        )
        session.flush()
    session.execute(text("SELECT colbert.create_index('documents')"))
    session.commit()


PLAIN = ["psycopg", "psycopg_async", "asyncpg"]


@pytest.fixture(params=[*PLAIN, "asyncpg with pgvector's codec"])
def run(request: pytest.FixtureRequest, database: str) -> Run:
    """Runs a function in a session of each driver, on four documents."""
    return runner(request.param, database)


@pytest.fixture(params=PLAIN)
def run_without_codec(request: pytest.FixtureRequest, database: str) -> Run:
    """The same, where SQLAlchemy's types send arrays."""
    return runner(request.param, database)


def runner(name: str, database: str) -> Run:
    driver, _, codec = name.partition(" with ")
    url = driver_url(database, driver)

    def synchronously(work: Callable[[Session], None]) -> None:
        engine = create_engine(url, poolclass=NullPool)
        _register_pgvector(engine)
        with Session(engine) as session:
            fill(session)
            work(session)

    def asynchronously(work: Callable[[Session], None]) -> None:
        async def main() -> None:
            engine = create_async_engine(url, poolclass=NullPool)
            if driver != "asyncpg":  # asyncpg sends and returns text by itself
                _register_pgvector(engine.sync_engine)
            if codec:
                _register_codec(engine.sync_engine)
            async with AsyncSession(engine) as session:
                await session.run_sync(fill)
                await session.run_sync(work)

        asyncio.run(main())

    return synchronously if driver == "psycopg" else asynchronously


@pytest.fixture
def session(database: str) -> Any:
    engine = create_engine(driver_url(database, "psycopg"), poolclass=NullPool)
    _register_pgvector(engine)
    with Session(engine) as session:
        fill(session)
        yield session


def _register_pgvector(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def register(connection: Any, _: Any) -> None:
        if hasattr(connection, "run_async"):
            connection.run_async(register_vector_async)
        else:
            register_vector(connection)


def _register_codec(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def register(connection: Any, _: Any) -> None:
        connection.run_async(register_codec)


def test_arrays_come_back_as_they_went_in(run_without_codec: Run) -> None:
    matrix = vectors("one two three")

    def work(session: Session) -> None:
        note = Note(slug="a", halves=matrix, title=matrix.tolist())
        empty = Note(slug="b", halves=matrix[:0], title=None)
        session.add_all([note, empty])
        session.commit()
        session.expire_all()
        assert np.array_equal(np.array(note.halves, np.float32), matrix.astype(np.float16))
        assert np.array_equal(np.array(note.title, np.float32), matrix)
        assert (empty.halves, empty.title) == ([], None)

    run_without_codec(work)


def test_a_token_array_is_written_whatever_the_driver_makes_of_vectors(run: Run) -> None:
    matrix = vectors("one two three")

    def work(session: Session) -> None:
        half, whole = token_array(matrix, half=True), token_array(matrix)
        session.add(Note(slug="a", halves=half, title=whole))
        session.flush()
        session.expire_all()
        note = session.scalars(select(Note)).one()
        np.testing.assert_array_equal(np.array(note.title, dtype=np.float32), matrix)
        np.testing.assert_allclose(np.array(note.halves), matrix, atol=1e-3)
        note.title = token_array(matrix[:2])
        session.flush()
        session.refresh(note)
        assert len(note.title) == 2
        empty = Note(slug="b", title=token_array(np.empty((0, 0), dtype=np.float32)))
        session.add(empty)
        session.flush()
        session.refresh(empty)
        assert empty.title == []

    run(work)


def test_search_joins_to_a_mapped_class(run: Run) -> None:
    query = vectors("cat on a mat")
    expected = sorted(((expected_score(query, vectors(t)), t) for t in TEXTS), reverse=True)[:3]

    def work(session: Session) -> None:
        hits = search(Document, query, k=3)
        rows = session.execute(
            select(Document, hits.c.score)
            .join(hits, hits.c.doc_id == Document.id)
            .order_by(hits.c.score.desc())
        ).all()
        assert [row.Document.content for row in rows] == [content for _, content in expected]
        assert [row.score for row in rows] == pytest.approx([s for s, _ in expected], abs=1e-5)

    run(work)


def test_maxsim_is_selected_compared_and_ordered_by(run: Run) -> None:
    query = vectors("cat mat")
    scores = [expected_score(query, vectors(t)) for t in TEXTS]
    assert scores[0] > scores[1] > 0.9 > max(scores[2:])

    def work(session: Session) -> None:
        score = maxsim(query, Document.embeddings)
        rows = session.execute(
            select(Document.content, score.label("score")).where(score > 0.9).order_by(score)
        ).all()
        assert [row.content for row in rows] == [TEXTS[1], TEXTS[0]]
        assert [row.score for row in rows] == pytest.approx([scores[1], scores[0]], abs=1e-5)

    run(work)


def test_a_filter_takes_its_values_from_params(run: Run) -> None:
    hostile = "x' OR true --"

    def work(session: Session) -> None:
        session.add(
            Document(content="robert", lang=hostile, embeddings=token_array(vectors("cat")))
        )
        session.commit()
        for lang, count in ((hostile, 1), ("de", 2), ("en", 2)):
            hits = search(
                Document,
                vectors("cat"),
                filter="lang = params->>'lang'",
                params={"lang": lang},
            )
            assert len(session.execute(select(hits)).all()) == count

    run(work)


def test_params_may_be_dates_and_uuids(run: Run) -> None:
    def work(session: Session) -> None:
        found = search(
            Document,
            vectors("cat"),
            filter="(params->>'day')::date < now() AND (params->>'of')::uuid IS NOT NULL",
            params={"day": datetime.date(2020, 1, 2), "of": uuid.uuid4()},
        )
        assert session.scalars(select(found.c.doc_id)).all()

    run(work)


def test_keys_come_in_their_own_type_from_a_source_whose_name_is_quoted(run: Run) -> None:
    def work(session: Session) -> None:
        cat, dog = token_array(vectors("cat"), half=True), token_array(vectors("dog"))
        note = Note(slug="first", halves=cat, title=dog)
        session.add(note)
        session.flush()
        session.execute(text("""SELECT colbert.create_index('"App"."My Notes"', 'halves')"""))
        title_index = """SELECT colbert.create_index('"App"."My Notes"', 'title', key => 'slug')"""
        session.execute(text(title_index))
        by_id = search(Note, vectors("cat"), embeddings="halves")
        by_slug = search(Note, vectors("dog"), embeddings="title", key=Note.slug)
        assert session.execute(select(by_id.c.doc_id)).scalar_one() == note.id
        assert session.execute(select(by_slug.c.doc_id)).scalar_one() == "first"
        assert session.scalar(select(maxsim(vectors("cat"), Note.halves))) == pytest.approx(
            1, abs=1e-2
        )

    run(work)


def test_a_column_is_a_query_too(run: Run) -> None:
    def work(session: Session) -> None:
        one, other = aliased(Document), aliased(Document)
        alike = search(Document, one.embeddings, k=1)
        pairs = session.execute(
            select(one.id, alike.c.doc_id, maxsim(one.embeddings, other.embeddings))
            .join(alike, true())
            .join(other, other.id == alike.c.doc_id)
            .order_by(one.id)
        ).all()
        assert [pair[:2] for pair in pairs] == [(1, 1), (2, 2), (3, 3), (4, 4)]
        lengths = [len(vectors(t)) for t in TEXTS]
        assert [pair[2] for pair in pairs] == pytest.approx(lengths, abs=1e-5)

    run(work)


def test_a_cached_statement_takes_the_next_query(session: Session) -> None:
    def best(words: str, k: int) -> list[int]:
        return list(session.scalars(select(search(Document, vectors(words), k=k).c.doc_id)))

    assert best("stocks fell", 1) == [3]
    assert best("rain on monday", 1) == [4]
    assert len(best("rain on monday", 3)) == 3


@pytest.mark.parametrize(
    ("arguments", "sqlstate"),
    [({"k": 0}, "22023"), ({"candidates": 0}, "22023"), ({"embeddings": "no"}, "42704")],
)
def test_arguments_reach_the_server(
    session: Session, arguments: dict[str, Any], sqlstate: str
) -> None:
    with pytest.raises(DBAPIError) as raised:
        session.execute(select(search(Document, vectors("cat"), **arguments)))
    assert isinstance(raised.value.orig, psycopg.Error)
    assert raised.value.orig.sqlstate == sqlstate


def test_exact_does_without_the_index(session: Session) -> None:
    session.execute(text("SET session_replication_role = replica"))  # no trigger: index unaware
    session.add(Document(content="giraffe", embeddings=vectors("giraffe")))
    session.flush()

    def found(exact: bool) -> list[int]:
        hits = search(Document, vectors("giraffe"), k=1, exact=exact)
        return list(session.scalars(select(hits.c.doc_id)))

    assert 5 not in found(exact=False)
    assert found(exact=True) == [5]


def test_results_below_min_score_are_left_out(session: Session) -> None:
    hits = search(Document, vectors("cat"), k=9)
    found = session.execute(select(hits.c.doc_id, hits.c.score)).all()
    least = (found[0].score + found[-1].score) / 2 / len(vectors("cat"))
    better = [hit.doc_id for hit in found if hit.score / len(vectors("cat")) >= least]
    assert 0 < len(better) < len(found)
    hits = search(Document, vectors("cat"), k=9, min_score=least)
    assert set(session.scalars(select(hits.c.doc_id))) == set(better)


def test_a_table_does_where_there_is_no_class(session: Session) -> None:
    table = Table("documents", MetaData(), autoload_with=session.connection())
    hits = search(table, vectors("rain"), k=1)
    joined = select(table.c.content).join(hits, hits.c.doc_id == table.c.id)
    assert session.scalars(joined).all() == [TEXTS[3]]


def test_what_is_no_query_and_no_source_is_refused() -> None:
    class Pair(Base):
        __tablename__ = "pairs"
        one: Mapped[int] = mapped_column(primary_key=True)
        other: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(ValueError, match="shape"):
        search(Document, [1.0, 0.0])
    with pytest.raises(ValueError, match=r"name the index's key"):
        search(Pair, vectors("cat"))
    with pytest.raises(TypeError, match=r"vectors are expected, .* not text"):
        search(Document, "a cat")
    with pytest.raises(ValueError, match="a mapped class or a table is expected, not 'documents'"):
        search("documents", vectors("cat"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a mapped class or a table is expected"):
        search(select(Document).subquery(), vectors("cat"))
