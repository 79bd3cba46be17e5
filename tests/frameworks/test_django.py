"""A Django project on a real server: migrations, the manager's search, filters, MaxSim."""

from __future__ import annotations

import copy
import datetime
import io
import json
import pickle
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import psycopg
import pytest
from django.core.exceptions import FieldError
from django.core.management import call_command
from django.db import NotSupportedError, connection, transaction
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.models import Avg, BooleanField, Count, Exists, F, OuterRef, Prefetch, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Length, Lower
from django.db.utils import DataError
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from colbert_pg.django import MaxSim, encoder
from colbert_pg.errors import ModelMismatch
from colbert_pg.vectors import Matrix
from tests.client.words import WordEncoder
from tests.client.words import maxsim as expected_score
from tests.frameworks.library import site
from tests.frameworks.library.models import Author, Document, Note, Plain, Report, Tag

HOSTILE = "x' OR true; -- %s %(a)s %% %I $1 \\ \" {} ;--\n*/"
UUID = uuid.UUID(int=7)
NOON = datetime.datetime(2024, 5, 6, 12, tzinfo=datetime.UTC)


def vectors(text: str) -> Matrix:
    return WordEncoder().encode_queries([text])[0]


def add(content: str, **values: Any) -> Document:
    embeddings = vectors(content).tolist()
    document: Document = Document.objects.create(content=content, embeddings=embeddings, **values)
    return document


@pytest.fixture
def library(project: None) -> None:
    """A decoy that answers "needle" best and meets no condition below, and others that do not."""
    common, rare = Tag.objects.create(name="common"), Tag.objects.create(name="rare")
    author = Author.objects.create(name="O'Brien", country="ie")
    add("needle", lang="zz").tags.add(common)
    for i in range(6):
        add(f"needle straw number {i}").tags.add(common)
    found = add(
        "straw at 100% cost",
        lang=HOSTILE,
        published=datetime.date(2024, 5, 6),
        added=NOON,
        price=Decimal("9.99"),
        reference=UUID,
        data={"a": {"b": 'it\'s "%s"'}, "list": ["v", 1]},
        digest=b"\x00\xff'\\",
        words=["a'b", '"q"', "{x,y}", "\\"],
        author=author,
    )
    found.tags.add(rare, Tag.objects.create(name="other"))
    Document.objects.create(content="not encoded yet", lang=HOSTILE, author=author)


CONDITIONS: dict[str, Callable[[QuerySet], QuerySet]] = {
    "hostile text": lambda q: q.filter(lang=HOSTILE),
    "hostile pattern": lambda q: q.filter(lang__icontains=HOSTILE[:20]),
    "percent": lambda q: q.filter(content__contains="100%"),
    "date": lambda q: q.filter(published=datetime.date(2024, 5, 6)),
    "part of a date": lambda q: q.filter(published__year__gte=2024),
    "moment": lambda q: q.filter(added__range=(NOON, NOON)),
    "decimal": lambda q: q.filter(price__lt=Decimal("10")),
    "uuid": lambda q: q.filter(reference=UUID),
    "uuids": lambda q: q.filter(reference__in=[UUID, uuid.UUID(int=8)]),
    "json path": lambda q: q.filter(data__a__b='it\'s "%s"'),
    "json contained": lambda q: q.filter(data__contains={"list": ["v"]}),
    "bytes": lambda q: q.filter(digest=b"\x00\xff'\\"),
    "array": lambda q: q.filter(words__contains=["a'b", "\\"]),
    "regular expression": lambda q: q.filter(content__regex=r"^straw\s.*\d+%"),
    "relation": lambda q: q.filter(author__name="O'Brien"),
    "relation is there": lambda q: q.filter(author__isnull=False),
    "relations": lambda q: q.filter(author__country="ie", tags__name="rare"),
    "many to many": lambda q: q.filter(tags__name__in=["rare", "other"]),
    "exclude across relations": lambda q: q.exclude(tags__name="common"),
    "negation": lambda q: q.filter(~Q(reference__isnull=True)),
    "alternatives": lambda q: q.filter(Q(author__name="O'Brien") | Q(price=3)),
    "exists": lambda q: q.filter(Exists(Tag.objects.filter(document=OuterRef("pk"), name="rare"))),
    "subquery": lambda q: q.filter(author__in=Author.objects.filter(name__startswith="O'")),
    "expression": lambda q: q.alias(n=Length("lang")).filter(n__gt=10, content=Lower("content")),
    "aggregate": lambda q: q.annotate(n=Count("tags")).filter(n__gte=2),
    "raw": lambda q: q.filter(RawSQL("price = %s", [Decimal("9.99")], BooleanField())),
    "extra": lambda q: q.extra(where=["library_document.price < %s"], params=[10]),
    "several": lambda q: q.filter(lang=HOSTILE).exclude(price=3).filter(content__endswith="cost"),
}


# Empty search boxes, NumPy


@pytest.mark.parametrize("blank", ["", " \n", "?!"])
def test_the_text_of_an_empty_search_box_finds_nothing(library: None, blank: str) -> None:
    found = Document.objects.filter(lang="en").search(blank)
    assert list(found) == []
    assert found.count() == 0
    assert not found.exists()
    assert not found.contains(Document.objects.all()[0])
    assert list(found.filter(score__gt=0).values_list("pk", "score")) == []
    assert found.aggregate(Avg("score")) == {"score__avg": None}
    assert Document.objects.filter(pk__in=found.values("pk")).count() == 0


def test_numpy_arrays_are_values_of_a_field(project: None) -> None:
    matrix = vectors("a cat sat")
    document = Document.objects.create(content="a cat sat", embeddings=matrix)
    Note.objects.bulk_create([Note(content="x", halves=matrix, title=matrix.astype(np.float64))])
    document.embeddings = matrix[:2]
    document.save()
    Document.objects.filter(pk=document.pk).update(embeddings=matrix)
    assert [d.pk for d in Document.objects.search("a cat sat")] == [document.pk]
    document.refresh_from_db()
    np.testing.assert_array_equal(np.array(document.embeddings, dtype=np.float32), matrix)
    (note,) = Note.objects.all()
    assert [len(note.title), len(note.halves)] == [3, 3]
    document.embeddings = matrix[0]
    with pytest.raises(ValueError, match="shape"), transaction.atomic():
        document.save()


# Migrations


def indexes() -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT source::text, embeddings::text, method, options::text FROM colbert.indexes"
            " ORDER BY 1, 2"
        )
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def test_migrations_install_index_and_take_it_all_back(bare_database: str) -> None:
    site.connect(bare_database)
    try:
        call_command("migrate", verbosity=0)
        *named, by_default = indexes()
        assert named == [
            ("\"library 'note'\"", "Half vectors", "exact", "{}"),
            ("\"library 'note'\"", "title", "hnsw", '{"candidates": 50}'),
        ]
        assert by_default[:2] == ("library_document", "embeddings")
        call_command("migrate", "library", "zero", verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regnamespace('colbert'), to_regclass('library_document')")
            assert cursor.fetchone() == (None, None)
    finally:
        connection.close()


def test_a_migration_is_written_as_sql_that_does_the_same(bare_database: str) -> None:
    site.connect(bare_database)
    try:
        written = io.StringIO()
        call_command("sqlmigrate", "library", "0001", stdout=written)
    finally:
        connection.close()
    with psycopg.connect(bare_database) as plain:
        plain.execute(written.getvalue().encode())
        (count,) = plain.execute("SELECT count(*) FROM colbert.indexes").fetchone() or (0,)
        assert count == 3


def test_the_models_are_what_the_migration_made(project: None) -> None:
    call_command("makemigrations", "library", check=True, dry_run=True, verbosity=0)


def test_dropping_is_an_operation_with_a_reverse(project: None) -> None:
    from django.db.migrations.state import ProjectState

    from colbert_pg.django.operations import DropLateInteractionIndex

    operation = DropLateInteractionIndex("note", "title", method="exact")
    state = ProjectState.from_apps(Note._meta.apps)
    with connection.schema_editor(atomic=False) as editor:
        operation.database_forwards("library", editor, state, state)
        assert len(indexes()) == 2
        operation.database_backwards("library", editor, state, state)
    assert indexes()[1][:3] == ("\"library 'note'\"", "title", "exact")


def test_a_check_asks_for_the_application() -> None:
    assert Document.check() == []
    with override_settings(INSTALLED_APPS=["tests.frameworks.library"]):
        assert [error.id for error in Document.objects.check()] == ["colbert_pg.E001"]


# Searching


def test_search_returns_instances_with_exact_scores_best_first(library: None) -> None:
    found = list(Document.objects.search("needle number 3", k=3))
    documents = Document.objects.exclude(embeddings=None)
    query = vectors("needle number 3")
    expected = sorted(
        ((expected_score(query, vectors(d.content)), d) for d in documents),
        key=lambda pair: (-pair[0], pair[1].pk),
    )
    assert found == [document for _, document in expected[:3]]
    assert [d.score for d in found] == pytest.approx([s for s, _ in expected[:3]], abs=1e-5)


def test_a_query_may_be_an_array(library: None) -> None:
    by_text = list(Document.objects.search("needle straw", k=4))
    assert list(Document.objects.search(vectors("needle straw"), k=4)) == by_text
    assert list(Document.objects.search(vectors("needle straw").tolist(), k=4)) == by_text
    with pytest.raises(ValueError, match="shape"):
        Document.objects.search([1.0, 2.0])


@pytest.mark.parametrize("name", CONDITIONS)
def test_conditions_limit_what_is_searched(library: None, name: str) -> None:
    condition = CONDITIONS[name]
    expected = set(condition(Document.objects.exclude(embeddings=None)))
    assert expected
    assert "zz" not in {document.lang for document in expected}

    for found in (
        condition(Document.objects.all()).search("needle", k=1),
        condition(Document.objects.search("needle", k=1)),
    ):
        assert set(found) <= expected
        assert len(set(found)) == 1
    assert set(condition(Document.objects.search("needle", k=100))) == expected


@pytest.fixture
def bound_by_the_server(migrated: str) -> Iterator[None]:
    """Statements go to the server with their values apart, as the database option has it."""
    site.connect(migrated)
    options = connection.settings_dict["OPTIONS"]
    options["server_side_binding"] = True
    yield
    options.clear()


def test_conditions_limit_what_is_searched_where_the_server_binds_values(
    bound_by_the_server: None, library: None
) -> None:
    assert connection.connection.cursor_factory is ServerBindingCursor
    for condition in CONDITIONS.values():
        expected = set(condition(Document.objects.exclude(embeddings=None)))
        assert set(condition(Document.objects.search("needle", k=100))) == expected


def test_values_are_quoted_as_the_session_reads_them(library: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL standard_conforming_strings = off")
        cursor.execute("SET LOCAL escape_string_warning = off")
    assert Document.objects.search("needle").get(lang=HOSTILE).price == Decimal("9.99")
    assert not Document.objects.search("needle").filter(lang="\\' OR true --").exists()


def test_conditions_on_the_model_itself_are_planned_as_they_are(library: None) -> None:
    found = Document.objects.select_related("author").order_by("author__name").filter(lang="zz")
    query = vectors("needle")
    with CaptureQueriesContext(connection) as queries:
        list(found.search(query))
        list(Document.objects.select_related("author").search(query))
    assert """filter => '"library_document"."lang" = ''zz'''""" in queries[0]["sql"]
    assert "filter" not in queries[1]["sql"]


def test_a_search_of_nothing_finds_nothing(library: None) -> None:
    assert list(Document.objects.filter(pk__in=[]).search("needle")) == []
    assert list(Document.objects.none().search("needle")) == []
    assert list(Document.objects.search("needle").filter(lang="none of it")) == []
    assert Document.objects.search("needle", k=100).filter(~Q(pk__in=[])).count() == 8


def test_a_queryset_goes_on_working(library: None) -> None:
    found = Document.objects.search("needle straw", k=5)
    best = list(found)
    assert found.count() == 5
    assert found.exists()
    assert found.first() == best[0]
    assert found.last() == best[-1]
    assert list(found[1:3]) == best[1:3]
    assert list(found.order_by("-pk")) == sorted(best, key=lambda d: -d.pk)
    assert list(found.values_list("pk", flat=True)) == [d.pk for d in best]
    assert [row["score"] for row in found.values("score", "lang")] == [d.score for d in best]
    assert found.aggregate(mean=Avg("score"))["mean"] == pytest.approx(
        sum(d.score for d in best) / 5
    )
    assert set(Tag.objects.filter(document__in=found)) == {Tag.objects.get(name="common")}
    assert list(found.annotate(n=Count("tags")).filter(n=1)) == best
    assert found.distinct().count() == 5
    assert found.values("pk").union(Document.objects.filter(lang="zz").values("pk")).count() == 6
    assert list(found.iterator()) == best
    assert list(copy.deepcopy(found)) == best
    restored = Document.objects.all()
    restored.query = pickle.loads(pickle.dumps(found.query))
    assert list(restored) == best
    assert found.update(lang="read") == 5
    assert Document.objects.filter(lang="read").count() == 5
    assert found.delete()[1]["library.Document"] == 5


def test_a_condition_on_the_score_applies_to_what_was_found(library: None) -> None:
    found = Document.objects.search("needle", k=3)
    assert found.filter(score__gt=0.99).count() == 3
    assert found.filter(score__lt=0.99).count() == 0
    assert found.filter(Q(score__gt=0.99) | Q(lang="nothing")).count() == 3


def test_a_condition_on_groups_applies_to_what_was_found(library: None) -> None:
    for lang, texts in {
        "a": ["x", "x y"],
        "b": ["x", "x y z"],
        "c": ["x"],
        "d": ["y", "y"],
    }.items():
        for text in texts:
            add(text, lang=lang)
    found = Document.objects.search("x", k=5)
    groups = found.order_by().values("lang").annotate(n=Count("pk")).filter(n__gt=1)
    assert set(groups.values_list("lang", "n")) == {("a", 2), ("b", 2)}
    assert groups.count() == 2
    assert [row["lang"] for row in groups.filter(lang="a")] == ["a"]
    tagged = Document.objects.annotate(n=Count("tags")).filter(n__gt=0).search("x", k=3)
    assert tagged.count() == len(tagged) == 3
    assert len(tagged.values("pk", "n")) == len(tagged.values(key=F("pk"))) == 3


def test_a_search_contains_what_it_finds(library: None) -> None:
    found = Document.objects.search("needle number 3", k=1)
    (best,) = found
    other = Document.objects.exclude(pk=best.pk).exclude(embeddings=None)[0]
    assert found.all().contains(best)
    assert not found.all().contains(other)
    with CaptureQueriesContext(connection) as queries:
        assert Document.objects.filter(lang="zz").contains(Document.objects.get(lang="zz"))
    assert "LIMIT 1" in queries[-1]["sql"]


def test_a_search_within_a_relation(library: None) -> None:
    author = Author.objects.get()
    assert [d.lang for d in author.documents.search("needle")] == [HOSTILE]
    prefetched = Author.objects.prefetch_related(
        Prefetch("documents", Document.objects.search("needle", k=1), to_attr="best")
    )
    assert [d.lang for d in prefetched.get().best] == [HOSTILE]


def test_token_vectors_are_fetched_only_when_they_are_asked_for(library: None) -> None:
    query = vectors("needle")
    with CaptureQueriesContext(connection) as queries:
        document = Document.objects.search(query, k=1)[0]
        assert '"library_document"."embeddings",' not in queries[0]["sql"]
        assert len(queries) == 1
        assert np.allclose(document.embeddings, vectors("needle"))
    assert len(queries) == 2


def test_a_child_model_searches_its_own_documents_by_the_vectors_of_its_parent(
    library: None,
) -> None:
    report = Report.objects.create(content="r", embeddings=vectors("straw").tolist())
    assert list(Report.objects.search("needle")) == [report]
    assert list(Report.objects.search("needle").filter(year=1999)) == []
    assert Report.objects.filter(lang="en", year=2000).search("needle").count() == 1


def test_keys_of_any_type_and_several_fields(project: None) -> None:
    first = Note.objects.create(
        content="a", halves=vectors("cat").tolist(), title=vectors("dog").tolist()
    )
    second = Note.objects.create(
        content="b", halves=vectors("dog").tolist(), title=vectors("cat").tolist()
    )
    by_halves = Note.objects.search("cat", embeddings="halves", k=1)
    assert (by_halves.get(), by_halves.get().score) == (first, pytest.approx(1, abs=1e-2))
    assert Note.objects.search("cat", embeddings="title", k=1).get() == second
    assert Note.objects.filter(content="a").search("cat", embeddings="title", k=1).get() == first
    assert np.allclose(first.halves, Note.objects.get(pk=first.pk).halves, atol=1e-2)
    with pytest.raises(FieldError, match=r"2 fields of token vectors \(halves, title\)"):
        Note.objects.search("cat")
    with pytest.raises(FieldError, match="0 fields of token vectors"):
        Plain.objects.search("cat")
    with pytest.raises(FieldError, match=r"Note\.content is not an array of vectors"):
        Note.objects.search("cat", embeddings="content")


def test_arguments_reach_the_server(library: None) -> None:
    for arguments in ({"k": 0}, {"candidates": 0}):
        with (
            pytest.raises(DataError, match=f"^{next(iter(arguments))} must be"),
            transaction.atomic(),
        ):
            list(Document.objects.search("needle", **arguments))
    with CaptureQueriesContext(connection) as queries:
        list(Document.objects.search(vectors("needle"), exact=True, candidates=7))
    assert "exact => true" in queries[0]["sql"]
    assert "candidates => 7" in queries[0]["sql"]


def test_results_below_min_score_are_left_out(library: None) -> None:
    found = list(Document.objects.search(vectors("needle"), k=999))
    least = (found[0].score + found[-1].score) / 2 / len(vectors("needle"))
    better = [hit for hit in found if hit.score / len(vectors("needle")) >= least]
    assert 0 < len(better) < len(found)
    assert list(Document.objects.search(vectors("needle"), k=999, min_score=least)) == better


def test_what_cannot_be_pushed_into_a_search_is_refused(library: None) -> None:
    found = Document.objects.search("needle")
    with pytest.raises(NotSupportedError, match="cannot be negated or be an alternative"):
        list(found | Document.objects.filter(lang="en"))
    with pytest.raises(NotSupportedError, match="searched once"):
        list(found.search("straw"))
    inner = Document.objects.filter(author=OuterRef("pk")).search("needle")
    with pytest.raises(NotSupportedError, match="depend on a query around it"):
        list(Author.objects.filter(Exists(inner)))


# MaxSim


def test_maxsim_annotates_orders_and_filters(library: None) -> None:
    score = MaxSim("embeddings", "needle straw")
    documents = Document.objects.exclude(embeddings=None).annotate(score=score)
    query = vectors("needle straw")
    for document in documents:
        expected = expected_score(query, vectors(document.content))
        assert document.score == pytest.approx(expected, abs=1e-5)
    ordered = [d.score for d in documents.order_by("-score")]
    assert ordered == sorted(ordered, reverse=True)
    assert list(documents.order_by(score.desc(), "pk")) == list(documents.order_by("-score", "pk"))
    assert documents.filter(score__gt=1.9).count() == 6
    assert Document.objects.annotate(score=score).get(embeddings=None).score is None


def test_maxsim_takes_an_array_or_a_field_for_a_query(library: None) -> None:
    documents = Document.objects.exclude(embeddings=None)
    by_array = documents.annotate(score=MaxSim("embeddings", vectors("needle"))).order_by("pk")
    assert by_array[0].score == pytest.approx(1, abs=1e-5)
    itself = documents.annotate(score=MaxSim("embeddings", F("embeddings"))).order_by("pk")
    assert itself[1].score == pytest.approx(4, abs=1e-5)


# The encoder


def test_the_encoder_is_made_once_and_a_query_encoded_once_when_it_is_needed(
    library: None,
) -> None:
    made: list[WordEncoder] = []

    def make() -> WordEncoder:
        made.append(WordEncoder())
        return made[-1]

    with override_settings(COLBERT_PG_ENCODER=make):
        found = Document.objects.search("needle straw", k=2)
        assert made == []
        assert found.count() == 2
        assert len(list(found.filter(lang="en"))) == 2
        assert len(Document.objects.search("needle straw", k=2)) == 2
        assert encoder() is made[0]
    assert [(len(made), m.encoded) for m in made] == [(1, ["needle straw"])]
    assert isinstance(encoder(), WordEncoder)
    assert encoder() is not made[0]


def test_text_is_not_searched_in_vectors_of_another_model(library: None) -> None:
    def index(model: Any) -> None:  # a fingerprint, or a mere name
        with connection.cursor() as cursor:
            cursor.execute("SELECT colbert.drop_index('library_document')")
            options = json.dumps({"model": model})
            cursor.execute(
                "SELECT colbert.create_index('library_document', options => %s)", [options]
            )

    index({"name": "another"})
    with pytest.raises(ModelMismatch, match='the index says name "another"'):
        list(Document.objects.search("needle"))
    assert Document.objects.search(vectors("needle")).count() == 8
    for own in (WordEncoder().fingerprint, WordEncoder().name):
        index(own)
        assert Document.objects.search("needle").count() == 8
