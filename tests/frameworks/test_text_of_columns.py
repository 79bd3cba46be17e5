"""A text of several columns, which a trigger puts together, in Django and in SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pgvector.sqlalchemy import VECTOR
from sqlalchemy import BigInteger, Engine, FetchedValue, Identity, create_engine, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from colbert_pg import Worker
from colbert_pg.sqlalchemy import search
from tests.client.words import WordEncoder
from tests.docs.blocks import blocks
from tests.frameworks.project import SET_UP, Project
from tests.servers import REPOSITORY, sqlalchemy_url
from tests.text.papers import make_papers

SETTINGS, _, MIGRATION = (
    block.code for block in blocks(REPOSITORY / "docs" / "django-guide.md", "python")[:3]
)
INSTALL_ALONE = MIGRATION[: MIGRATION.index("        migrations.CreateModel(")] + "    ]\n"
MODELS = """
from colbert_pg.django import LateInteractionIndex, LateInteractionManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from pgvector.django import VectorField


class Paper(models.Model):
    title = models.TextField()
    body = models.TextField()
    whole = models.TextField(editable=False)
    embeddings = ArrayField(VectorField(dimensions=32), null=True)

    objects = LateInteractionManager()

    class Meta:
        indexes = [LateInteractionIndex(fields=["embeddings"], options={"text": "whole"})]
"""
TRIGGER = '''
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("library", "0002_papers")]
    operations = [
        migrations.RunSQL(
            """
            CREATE FUNCTION whole() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
              NEW.whole := concat_ws(' ', NEW.title, NEW.body);
              RETURN NEW;
            END
            $$;
            CREATE TRIGGER whole BEFORE INSERT OR UPDATE ON library_paper
              FOR EACH ROW EXECUTE FUNCTION whole();
            """,
            "DROP TRIGGER whole ON library_paper; DROP FUNCTION whole();",
        )
    ]
'''


def encode(conninfo: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        Worker(connection, WordEncoder(), maintain=False).drain()


def test_a_django_project_writes_the_columns_alone(bare_database: str, tmp_path: Path) -> None:
    project = Project(tmp_path, bare_database, SETTINGS, MODELS, INSTALL_ALONE)
    project.manage("makemigrations", "library", "--name", "papers")
    project.write("library/migrations/0003_whole.py", TRIGGER)
    project.manage("migrate", "library")
    project.manage("makemigrations", "--check", "--dry-run", "library")

    def python(statements: str) -> str:
        shell = f"{SET_UP}from library.models import Paper\n{statements}"
        return project.python("-c", shell).strip()

    python(
        "Paper.objects.create(title='Bread', body='flour and water')\n"
        "Paper.objects.bulk_create([Paper(title='Boats', body='nets')])"
    )
    encode(bare_database)
    stored = "print(*Paper.objects.order_by('id').values_list('whole', 'embeddings__len'))"
    assert python(stored) == "('Bread flour and water', 4) ('Boats nets', 2)"

    python(
        "paper = Paper.objects.get(title='Bread')\n"
        "paper.title = 'Rye'\n"
        "paper.save()\n"
        "Paper.objects.filter(title='Boats').update(body='sails and nets')"
    )
    assert python(stored) == "('Rye flour and water', None) ('Boats sails and nets', None)"
    encode(bare_database)
    (query,) = WordEncoder().encode_queries(["sails"])
    found = f"print(Paper.objects.search({query.tolist()}, k=1).get().title)"
    assert python(found) == "Boats"
    project.manage("migrate", "library", "zero")


def test_a_django_index_has_an_expression_for_its_text(bare_database: str, tmp_path: Path) -> None:
    models = MODELS.replace("    whole = models.TextField(editable=False)\n", "").replace(
        '"whole"', "\"title || ' ' || body\""
    )
    project = Project(tmp_path, bare_database, SETTINGS, models, INSTALL_ALONE)
    project.manage("makemigrations", "library", "--name", "papers")
    project.manage("migrate", "library")
    project.manage("makemigrations", "--check", "--dry-run", "library")
    shell = f"{SET_UP}from library.models import Paper\n"
    project.python("-c", f"{shell}Paper.objects.create(title='Bread', body='flour and water')")
    encode(bare_database)
    stored = project.python("-c", f"{shell}print(Paper.objects.get().embeddings.__len__())")
    assert stored.strip() == "4"
    project.manage("migrate", "library", "zero")


class Base(DeclarativeBase):
    pass


class Paper(Base):
    __tablename__ = "papers"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    title: Mapped[str]
    body: Mapped[str]
    whole: Mapped[str] = mapped_column(FetchedValue(), server_onupdate=FetchedValue())
    embeddings: Mapped[Any] = mapped_column(
        ARRAY(VECTOR(32), dimensions=1), nullable=True, deferred=True
    )


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    with psycopg.connect(database) as connection:
        make_papers(connection)
    engine = create_engine(sqlalchemy_url(database))
    yield engine
    engine.dispose()


def test_sqlalchemy_reads_the_text_back_after_every_write(engine: Engine, database: str) -> None:
    with Session(engine) as session:
        paper = Paper(title="Bread", body="flour and water")
        session.add_all([paper, Paper(title="Boats", body="nets")])
        session.commit()
        encode(database)
        paper.title = "Rye"
        session.flush()
        assert paper.whole == "Rye\nflour and water"
        session.commit()
        assert session.scalars(select(Paper.id).where(Paper.embeddings.is_(None))).all() == [1]
        encode(database)
        (query,) = WordEncoder().encode_queries(["rye"])
        hits = search(Paper, query, k=1)
        found = select(Paper.whole).join(hits, hits.c.doc_id == Paper.id)
        assert session.scalars(found).all() == ["Rye\nflour and water"]
