"""Hybrid search, reranking and parents in SQLAlchemy; filters, aliases and inheritance."""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from pgvector.sqlalchemy import HALFVEC, VECTOR
from sqlalchemy import (
    JSON,
    BigInteger,
    Enum,
    ForeignKey,
    Identity,
    Numeric,
    String,
    and_,
    any_,
    create_engine,
    exists,
    func,
    not_,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    aliased,
    mapped_column,
    with_polymorphic,
)
from sqlalchemy.pool import NullPool

from colbert_pg.install import install
from colbert_pg.sqlalchemy import hybrid_search, maxsim, rerank, search, search_parents, token_array
from colbert_pg.vectors import Matrix
from tests.client.words import WordEncoder
from tests.client.words import maxsim as expected_score
from tests.servers import driver_url

encoder = WordEncoder(16)
HOSTILE = "x' OR true; -- %s %(a)s %% \\ \" {} :a ;--\n*/"
DAY = datetime.date(2024, 5, 6)
UUID = uuid.UUID(int=7)
LONG = "the same first ten letters"


def vectors(words: str) -> Matrix:
    return encoder.encode_queries([words])[0]


class Base(DeclarativeBase):
    pass


class Mood(enum.Enum):
    merry = "m"
    grave = "g"


class Author(Base):
    __tablename__ = "authors"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str]


class Item(Base):
    """Everything that a filter may be about, and a class that others inherit from."""

    __tablename__ = 'items 50% of "them"'

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    kind: Mapped[str] = mapped_column(default="item")
    content: Mapped[str]
    lang: Mapped[str] = mapped_column(default="en")
    code: Mapped[str | None] = mapped_column(String(10))
    day: Mapped[datetime.date | None]
    price: Mapped[Decimal | None] = mapped_column(Numeric(6, 1))
    reference: Mapped[uuid.UUID | None]
    digest: Mapped[bytes | None]
    words: Mapped[Any] = mapped_column(ARRAY(String), nullable=True)
    data: Mapped[Any] = mapped_column(JSONB, nullable=True)
    plain_json: Mapped[Any] = mapped_column(JSON, nullable=True)
    mood: Mapped[Mood | None] = mapped_column(Enum(Mood, name="mood"))
    params: Mapped[str | None]
    author_id: Mapped[int | None] = mapped_column(ForeignKey(Author.id))
    embeddings: Mapped[Any] = mapped_column(
        ARRAY(VECTOR(16), dimensions=1), nullable=True, deferred=True
    )

    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}  # noqa: RUF012


class Leaflet(Item):
    """In the same table."""

    __mapper_args__ = {"polymorphic_identity": "leaflet"}  # noqa: RUF012


class Flyer(Leaflet):
    """In the same table, of a kind of a kind."""

    __mapper_args__ = {"polymorphic_identity": "flyer"}  # noqa: RUF012


class Report(Item):
    """In a table of its own, without the vectors."""

    __tablename__ = "reports"

    id: Mapped[int] = mapped_column(ForeignKey(Item.id), primary_key=True)
    year: Mapped[int]

    __mapper_args__ = {"polymorphic_identity": "report"}  # noqa: RUF012


class Chunk(Base):
    """Chunks of items in text keys, with parents of any kind."""

    __tablename__ = "chunks"

    id: Mapped[str] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(BigInteger)
    book: Mapped[uuid.UUID]
    embeddings: Mapped[Any] = mapped_column(ARRAY(HALFVEC(16), dimensions=1), nullable=True)


TEXTS = ["a cat sat on the mat", "the dog chased the cat", "stocks fell", "rain on monday"]
TABLE = '"items 50% of ""them"""'


@pytest.fixture(scope="module")
def installed_database(module_database: str) -> str:
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        install(connection)
    return module_database


@pytest.fixture
def session(installed_database: str) -> Iterator[Session]:
    """Nothing in it is committed."""
    engine = create_engine(driver_url(installed_database, "psycopg"), poolclass=NullPool)
    with Session(engine) as session:
        Base.metadata.create_all(session.connection())
        session.add(Author(id=1, name="O'Brien"))
        session.flush()
        for content in TEXTS:
            add(session, Item(content=content, lang="de" if "cat" in content else "en"))
        source = TABLE.replace("'", "''")
        session.execute(text(f"SELECT colbert.create_index('{source}')"))
        yield session


def add(session: Session, item: Item) -> Item:
    item.embeddings = token_array(vectors(item.content))
    session.add(item)
    session.flush()
    return item


def found(session: Session, *arguments: Any, **named: Any) -> list[int]:
    hits = search(*arguments, **named)
    return list(session.scalars(select(hits.c.doc_id).order_by(hits.c.score.desc(), hits.c.doc_id)))


# Filters


CONDITIONS: dict[str, Callable[[], Any]] = {
    "text": lambda: Item.lang == HOSTILE,
    "pattern": lambda: Item.lang.ilike("%OR TRUE%"),
    "percent": lambda: Item.lang.contains("%", autoescape=True),
    "length of its type": lambda: Item.code == LONG[:10],
    "day": lambda: Item.day == DAY,
    "range of days": lambda: Item.day.between(DAY, DAY),
    "part of a day": lambda: func.extract("year", Item.day) == 2024,
    "number": lambda: Item.price < 10,
    "decimal": lambda: Item.price == Decimal("9.9"),
    "uuid": lambda: Item.reference == UUID,
    "uuids": lambda: Item.reference.in_([UUID, uuid.UUID(int=8)]),
    "texts": lambda: Item.lang.in_(["q'", HOSTILE]),
    "not in": lambda: and_(Item.reference.not_in([uuid.UUID(int=8)]), Item.lang.not_in([])),
    "bytes": lambda: Item.digest == b"\x00\xff'\\",
    "array": lambda: Item.words.contains(["a'b", "\\"]),
    "any of an array": lambda: any_(Item.words) == "{x,y}",
    "json": lambda: Item.data["a"]["b"].astext == "it's",
    "json contained": lambda: Item.data.contains({"list": ["v"]}),
    "json member by number": lambda: Item.data["list"][1].astext == "1",
    "json path": lambda: Item.data[("a", "b")].astext == "it's",
    "json value": lambda: Item.data["list"] == ["v", 1],
    "plain json": lambda: Item.plain_json["a"].as_string() == "b%",
    "enum": lambda: Item.mood == Mood.grave,
    "enums": lambda: Item.mood.in_([Mood.grave]),
    "column called params": lambda: Item.params == "its own",
    "null": lambda: Item.reference.is_not(None),
    "alternatives": lambda: or_(Item.price == 1, not_(Item.price > 10)),
    "expression": lambda: func.length(Item.lang) > 20,
    "in a subquery": lambda: Item.author_id.in_(select(Author.id).where(Author.name == "O'Brien")),
    "exists": lambda: exists().where(Author.id == Item.author_id, Author.name.like("O'%")),
    "subquery and column": lambda: and_(
        Item.lang == HOSTILE, Item.id == select(func.max(Item.id)).scalar_subquery()
    ),
}


@pytest.fixture
def needle(session: Session) -> int:
    """The one item that meets all of the conditions, and answers "needle" worst."""
    for i in range(4):
        add(session, Item(content=f"needle {i}", price=Decimal(20 + i), code=None))
    item = Item(
        content="straw",
        lang=HOSTILE,
        code=LONG[:10],
        day=DAY,
        price=Decimal("9.9"),
        reference=UUID,
        digest=b"\x00\xff'\\",
        words=["a'b", '"q"', "{x,y}", "\\"],
        data={"a": {"b": "it's"}, "list": ["v", 1]},
        plain_json={"a": "b%"},
        mood=Mood.grave,
        params="its own",
        author_id=1,
    )
    return add(session, item).id


@pytest.mark.parametrize("name", CONDITIONS)
def test_an_expression_limits_what_is_searched(session: Session, needle: int, name: str) -> None:
    condition = CONDITIONS[name]()
    assert session.scalars(select(Item.id).where(condition)).all() == [needle]
    assert found(session, Item, vectors("needle"), k=1, filter=condition) == [needle]
    assert found(session, Item, vectors("needle"), k=9, filter=condition) == [needle]


def test_values_are_neither_cut_nor_rounded_to_fit_their_column(
    session: Session, needle: int
) -> None:
    assert found(session, Item, vectors("straw"), filter=Item.code == LONG) == []
    assert found(session, Item, vectors("straw"), filter=Item.price == Decimal("9.93")) == []


def test_a_condition_that_nothing_meets_finds_nothing(session: Session) -> None:
    for nothing in (Item.lang == None, Item.id.in_([]), Item.lang == "zz"):  # noqa: E711
        assert found(session, Item, vectors("cat"), filter=nothing) == []


def test_an_expression_and_params_of_ones_own_go_together(session: Session) -> None:
    query = vectors("cat")
    both = and_(Item.lang == "de", text("content LIKE params->>'_1'"))
    with pytest.raises(DBAPIError, match="params"):  # the item has a column of that name
        found(session, Item, query, filter=both, params={"_1": "%dog%"})
    session.rollback()


def test_what_is_no_filter_is_refused(session: Session) -> None:
    with pytest.raises(TypeError, match="a filter is an expression"):
        search(Item, vectors("cat"), filter=lambda: True)  # type: ignore[arg-type]


def test_a_statement_with_a_filter_is_cached_for_the_next_value(session: Session) -> None:
    def of(lang: str) -> int:
        return len(found(session, Item, vectors("cat"), filter=Item.lang == lang))

    assert (of("de"), of("en"), of("fr")) == (2, 2, 0)


# Aliases


def test_an_alias_is_a_source_and_a_filter_may_speak_of_it(session: Session) -> None:
    other = aliased(Item)
    for condition in (other.lang == "de", Item.lang == "de"):
        hits = search(other, vectors("cat mat"), filter=condition)
        statement = (
            select(other.content)
            .join(hits, hits.c.doc_id == other.id)
            .order_by(hits.c.score.desc())
        )
        assert session.scalars(statement).all() == TEXTS[:2]
    named = Item.__table__.alias("i")
    hits = search(named, vectors("rain"), k=1, filter=named.c.lang == "en")
    joined = select(named.c.content).join(hits, hits.c.doc_id == named.c.id)
    assert session.scalars(joined).all() == ["rain on monday"]
    within = select(Author.id).where(Author.id == other.author_id)
    assert found(session, other, vectors("cat"), filter=within.exists()) == []


# Inheritance


@pytest.fixture
def family(session: Session) -> dict[str, int]:
    return {
        "leaflet": add(session, Leaflet(content="cat leaflet")).id,
        "flyer": add(session, Flyer(content="cat flyer")).id,
        "report": add(session, Report(content="cat report", year=1999)).id,
    }


def test_a_class_that_inherits_finds_its_own_instances(
    session: Session, family: dict[str, int]
) -> None:
    query = vectors("cat")
    assert found(session, Report, query, k=1) == [family["report"]]
    assert set(found(session, Leaflet, query, k=9)) == {family["leaflet"], family["flyer"]}
    assert found(session, Flyer, query, k=9) == [family["flyer"]]
    assert len(found(session, Item, query, k=9)) == len(TEXTS) + 3
    hits = search(Report, query, name="of_reports")
    report, score = session.execute(
        select(Report, hits.c.score).join(hits, hits.c.doc_id == Report.id)
    ).one()
    assert (report.year, round(score)) == (1999, 1)


def test_filters_apply_beside_what_a_class_is_limited_to(
    session: Session, family: dict[str, int]
) -> None:
    query = vectors("cat")
    assert found(session, Leaflet, query, filter=Item.content == "cat flyer") == [family["flyer"]]
    assert found(session, Leaflet, query, filter="true -- all of them", k=9) == [
        family["leaflet"],
        family["flyer"],
    ]
    for condition, expected in ((Report.year == 1999, ["report"]), (Report.year == 2000, [])):
        assert found(session, Report, query, filter=condition) == [family[e] for e in expected]
    other = aliased(Flyer)
    assert found(session, other, query, filter=other.lang == "en") == [family["flyer"]]


def test_aliases_of_several_tables_are_refused() -> None:
    for several in (with_polymorphic(Item, [Report]), aliased(Report)):
        with pytest.raises(ValueError, match="of more than the table of the vectors"):
            search(several, vectors("cat"))


# Hybrid search


def test_hybrid_search_is_that_of_sql(session: Session) -> None:
    hits = hybrid_search(
        Item,
        vectors("cat monday"),
        "cat monday",
        k=3,
        language="english",
        match="any",
        text_weight=0.4,
        constant=20,
        filter=Item.content != "stocks fell",
        name="both",
    )
    got = session.execute(select(hits)).all()
    expected = session.execute(
        text(
            f"SELECT * FROM colbert.hybrid_search('{TABLE}', :q, 'cat monday', k => 3,"
            " language => 'english', text_weight => 0.4, constant => 20,"
            " filter => $$content <> 'stocks fell'$$)"
        ),
        {"q": "{" + ",".join(f'"{list(map(float, v))}"' for v in vectors("cat monday")) + "}"},
    ).all()
    assert got == expected
    assert len(got) == 3
    assert got[0]._fields == (
        "doc_id",
        "score",
        "maxsim_rank",
        "maxsim_score",
        "text_rank",
        "text_score",
    )
    joined = select(Item.content, hits.c.score).join(hits, hits.c.doc_id == Item.id)
    assert len(session.execute(joined).all()) == 3


def test_content_may_be_a_column_or_an_expression(session: Session) -> None:
    for content in (
        Item.lang,
        "lang",
        Item.lang.concat(Item.kind),
        func.to_tsvector(Item.lang),
        Item.__table__.c.lang,
    ):
        hits = hybrid_search(
            Item, vectors("x"), "de", k=9, content=content, language="simple", text_weight=1
        )
        got = session.scalars(select(hits.c.doc_id).where(hits.c.text_rank.is_not(None))).all()
        assert set(got) == (set() if "||" in str(content) else {1, 2})
    with pytest.raises(ValueError, match="content has values"):
        hybrid_search(Item, vectors("x"), "de", content=Item.lang + "x")
    with pytest.raises(ValueError, match="of the source alone"):
        hybrid_search(Item, vectors("x"), "de", content=Author.name)
    with pytest.raises(TypeError, match="must be text"):
        hybrid_search(Item, vectors("x"), vectors("x"))  # type: ignore[arg-type]


# Reranking


def test_rerank_scores_keys_and_selects_of_keys(session: Session) -> None:
    query = vectors("dog cat")
    scores = {i: expected_score(query, vectors(t)) for i, t in enumerate(TEXTS, 1)}
    cats = select(Item.id).where(Item.content.contains("cat"))
    for ids in ([1, 2, 77], cats, cats.order_by(Item.id).limit(2)):
        hits = rerank(Item, query, ids)
        got = session.execute(select(hits)).all()
        assert [row.doc_id for row in got] == [2, 1]
        assert [row.score for row in got] == pytest.approx([scores[2], scores[1]], abs=1e-5)
    assert session.scalars(select(rerank(Item, query, [1, 2], k=1).c.doc_id)).all() == [2]
    assert session.scalars(select(rerank(Item, query, []).c.doc_id)).all() == []
    with pytest.raises(TypeError, match="list of keys"):
        rerank(Item, query, "1")


# Parents


BOOKS = [uuid.UUID(int=1), uuid.UUID(int=2)]


@pytest.fixture
def chunks(session: Session) -> None:
    for i, content in enumerate(["cat", "cat dog", "dog", "rain"]):
        chunk = Chunk(id=f"c{i}", item_id=i % 2, book=BOOKS[i // 2])
        chunk.embeddings = token_array(vectors(content), half=True)
        session.add(chunk)
    session.flush()
    session.execute(text("SELECT colbert.create_index('chunks')"))


def test_parents_come_in_the_type_of_their_keys(session: Session, chunks: None) -> None:
    query = vectors("cat dog")

    def rows(parent: Any, **named: Any) -> list[tuple[Any, ...]]:
        hits = search_parents(Chunk, query, parent, **named)
        got = session.execute(select(hits).order_by(hits.c.score.desc())).all()
        return [(row.parent_id, round(row.score), row.doc_id) for row in got]

    assert rows(Chunk.book) == [(BOOKS[0], 2, "c1"), (BOOKS[1], 1, "c2")]
    assert rows("item_id", k=1) == [("1", 2, "c1")]  # as text, where keys of chunks are text
    assert rows(Chunk.book, filter=Chunk.id != "c1")[0][1] == 1
    for content in ("cat", "dog"):
        add(session, Item(content=content, author_id=1))
    hits = search_parents(Item, query, Item.author_id)
    (row,) = session.execute(select(hits)).all()
    assert (row.parent_id, round(row.score)) == (1, 1)
    with pytest.raises(ValueError, match="has no column nothing"):
        search_parents(Item, query, "nothing")
    ids = rerank(Chunk, query, ["c0", "c1"])
    assert session.scalars(select(ids.c.doc_id)).all() == ["c1", "c0"]


def test_scores_of_an_expression_are_those_of_a_search(session: Session) -> None:
    hits = search(Item, vectors("cat"))
    score = maxsim(vectors("cat"), Item.embeddings)
    pairs = session.execute(select(hits.c.score, score).join(Item, hits.c.doc_id == Item.id)).all()
    assert len(pairs) == 4
    assert [a for a, _ in pairs] == pytest.approx([b for _, b in pairs])
