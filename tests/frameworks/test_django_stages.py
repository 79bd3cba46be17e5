"""Hybrid search, reranking and parents on a queryset; pending documents; commands; the admin."""

from __future__ import annotations

import asyncio
import io
import uuid
from typing import Any

import numpy as np
import psycopg
import pytest
from django.contrib.admin import site as admin_site
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.core.management import CommandError, call_command
from django.db import NotSupportedError, connection, transaction
from django.db.models import Count, F
from django.test.utils import CaptureQueriesContext

from colbert_pg.django import encode_pending
from colbert_pg.django.admin import LateInteractionAdmin
from colbert_pg.errors import ModelMismatch
from colbert_pg.vectors import Matrix
from tests.client.words import WordEncoder
from tests.client.words import maxsim as expected_score
from tests.frameworks.library import site
from tests.frameworks.library.models import Author, Document, Note, Plain, Report, Tag


def vectors(text: str) -> Matrix:
    return WordEncoder().encode_queries([text])[0]


def add(content: str, **values: Any) -> Document:
    document: Document = Document.objects.create(
        content=content, embeddings=vectors(content), **values
    )
    return document


@pytest.fixture
def texts(project: None) -> dict[str, Document]:
    ann, bob = Author.objects.create(name="Ann"), Author.objects.create(name="O'Bob % \\")
    return {
        content: add(content, lang=lang, author=author)
        for content, lang, author in [
            ("a cat sat on the mat", "en", ann),
            ("the dog chased the cat", "en", ann),
            ("stocks fell sharply on monday", "de", bob),
            ("rain on monday and tuesday", "en", bob),
            ("a cat and a dog in the rain", "de", bob),
        ]
    }


def sql(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
        return rows


def index_texts() -> None:
    sql("SELECT colbert.drop_index('library_document')::text")
    options = '{"text": "content"}'
    sql(f"SELECT colbert.create_index('library_document', options => '{options}')::text")


# Hybrid search


def test_hybrid_search_is_that_of_sql_with_instances(texts: dict[str, Document]) -> None:
    found = Document.objects.hybrid_search("cat monday", k=4, text_weight=0.4, constant=20)
    query = "{" + ",".join(f'"{list(map(float, v))}"' for v in vectors("cat monday")) + "}"
    expected = sql(
        "SELECT doc_id, score, maxsim_rank, maxsim_score, text_rank, text_score"
        f" FROM colbert.hybrid_search('library_document', '{query}', 'cat monday', k => 4,"
        " text_weight => 0.4, constant => 20)"
    )
    got = [(d.pk, d.score, d.maxsim_rank, d.maxsim_score, d.text_rank, d.text_score) for d in found]
    assert got == expected
    assert len(got) == 4
    assert all(isinstance(document, Document) for document in found)


def test_what_a_queryset_is_limited_to_limits_a_hybrid_search(texts: dict[str, Document]) -> None:
    for limited in (
        Document.objects.filter(lang="de"),
        Document.objects.exclude(author__name="Ann").filter(content__contains="a"),
        Document.objects.filter(author__name="O'Bob % \\"),
        Document.objects.annotate(n=Count("tags")).filter(n=0, lang="de"),
    ):
        found = limited.hybrid_search("the cat sat on the mat", k=10)
        assert {d.pk for d in found} == {d.pk for d in limited}
        assert len(limited.hybrid_search("the cat sat on the mat", k=1)) == 1
    assert Document.objects.none().hybrid_search("cat") == []
    assert Document.objects.hybrid_search(" \n") == []


def test_a_hybrid_search_takes_what_belongs_to_the_queryset(texts: dict[str, Document]) -> None:
    with CaptureQueriesContext(connection) as queries:
        found = Document.objects.select_related("author").hybrid_search(
            "cat", k=2, vectors=vectors("cat"), content="content", language="simple", match="any"
        )
        assert {document.author.name for document in found} <= {"Ann", "O'Bob % \\"}
    assert len(queries) == 2
    assert "embeddings" in found[0].get_deferred_fields()
    tagged = Document.objects.prefetch_related("tags").hybrid_search("cat", k=1)
    assert list(tagged[0].tags.all()) == []


def test_the_field_of_full_text_may_be_another(texts: dict[str, Document]) -> None:
    (found,) = Document.objects.hybrid_search(
        "de", k=1, vectors=vectors("needle"), content="lang", text_weight=1, language="simple"
    )
    assert (found.lang, found.text_rank) == ("de", 1)
    with pytest.raises(FieldDoesNotExist):
        Document.objects.hybrid_search("x", content="nothing")
    with pytest.raises(FieldError, match="no column of the table"):
        Document.objects.hybrid_search("x", content="tags")


def test_what_a_hybrid_search_cannot_be_of_is_refused(texts: dict[str, Document]) -> None:
    with pytest.raises(NotSupportedError, match="searched once"):
        Document.objects.search("cat").hybrid_search("cat")
    with pytest.raises(TypeError, match="not sliced"):
        Document.objects.all()[:3].hybrid_search("cat")
    with pytest.raises(TypeError, match="instances"):
        Document.objects.values("pk").hybrid_search("cat")
    with pytest.raises(TypeError, match="must be text"):
        Document.objects.hybrid_search(vectors("cat"))
    with pytest.raises(FieldError, match="0 fields of token vectors"):
        Plain.objects.hybrid_search("cat")


def test_hybrid_search_of_uuids_and_of_an_inherited_table(project: None) -> None:
    note = Note.objects.create(content="cat", halves=vectors("cat"), title=vectors("dog"))
    Note.objects.create(content="dog", halves=vectors("dog"), title=vectors("cat"))
    (found,) = Note.objects.hybrid_search("cat", k=1, embeddings="halves")
    assert (found, found.maxsim_rank, found.text_rank) == (note, 1, 1)

    add("a cat that is no report")
    report = Report.objects.create(content="a cat", embeddings=vectors("a cat"), year=1999)
    assert Report.objects.hybrid_search("cat") == [report]
    assert Report.objects.filter(year=2000).hybrid_search("cat") == []


# Reranking


def test_rerank_orders_a_queryset_by_exact_scores(texts: dict[str, Document]) -> None:
    Document.objects.create(content="a cat, not encoded")
    Document.objects.create(content="a cat, empty", embeddings=[])
    first_stage = Document.objects.filter(content__contains="cat")
    found = list(first_stage.rerank("dog in the rain"))
    query = vectors("dog in the rain")
    scores = {d.pk: expected_score(query, vectors(t)) for t, d in texts.items() if "cat" in t}
    assert [d.pk for d in found] == sorted(scores, key=lambda pk: -scores[pk])
    assert [d.score for d in found] == pytest.approx([scores[d.pk] for d in found], abs=1e-5)
    assert first_stage.rerank("dog in the rain", k=1).get() == found[0]
    assert list(first_stage.rerank(query).values_list("pk", flat=True)) == [d.pk for d in found]


def test_a_slice_is_a_first_stage_with_its_order(texts: dict[str, Document]) -> None:
    first_stage = Document.objects.select_related("author").order_by("pk")[:2]
    with CaptureQueriesContext(connection) as queries:
        found = list(first_stage.rerank("rain dog"))
        names = [document.author.name for document in found]
    assert names == ["Ann", "Ann"]
    assert len(queries) == 2  # one is for the model that the index remembers
    assert [d.content for d in found] == ["the dog chased the cat", "a cat sat on the mat"]
    best = Document.objects.search("monday", k=2)
    assert {d.pk for d in best[:2].rerank("tuesday")} == {d.pk for d in best}
    assert best.rerank("tuesday")[0].content == "rain on monday and tuesday"
    assert best.all()[:2].rerank("tuesday").filter(lang="de").count() == 1


def test_rerank_by_nothing_finds_nothing(texts: dict[str, Document]) -> None:
    assert list(Document.objects.rerank("?!")) == []
    assert Document.objects.all()[:3].rerank("").count() == 0
    assert list(Document.objects.none().rerank("cat")) == []


# Parents


def test_search_parents_gives_the_best_chunk_of_each(texts: dict[str, Document]) -> None:
    found = Document.objects.select_related("author").search_parents("dog in the rain", "author")
    query = vectors("dog in the rain")
    best: dict[Any, tuple[float, int]] = {}
    for text, document in texts.items():
        score = expected_score(query, vectors(text))
        best[document.author_id] = max(
            best.get(document.author_id, (-np.inf, 0)), (score, document.pk)
        )
    assert [(d.author_id, d.pk) for d in found] == [
        (author, pk) for author, (_, pk) in sorted(best.items(), key=lambda item: -item[1][0])
    ]
    assert [d.score for d in found] == pytest.approx([best[d.author_id][0] for d in found])
    (one,) = Document.objects.filter(lang="en").search_parents("rain", "author", k=1)
    assert one.content == "rain on monday and tuesday"


def test_parents_may_be_any_column_and_chunks_have_any_key(project: None) -> None:
    for title, text in [("x", "cat"), ("x", "cat dog"), ("y", "dog")]:
        Note.objects.create(id=uuid.uuid4(), content=title, halves=vectors(text))
    found = Note.objects.search_parents("cat dog", "content", embeddings="halves")
    assert [(note.content, round(note.score)) for note in found] == [("x", 2), ("y", 1)]
    assert Note.objects.search_parents("", "content", embeddings="halves") == []
    with pytest.raises(FieldDoesNotExist, match="no field named 'year'"):  # of another table
        Report.objects.search_parents("cat", "year")


# Asynchronous code


def test_all_of_them_can_be_awaited(committing: str) -> None:
    ann = Author.objects.create(name="Ann")
    documents = [add(text, author=ann) for text in ("a cat sat", "a dog ran", "a cat ran")]

    async def main() -> None:
        found = [d async for d in Document.objects.search("cat sat", k=2)]
        assert [d.content for d in found] == ["a cat sat", "a cat ran"]
        assert (await Document.objects.search("dog").afirst()).pk == documents[1].pk
        assert await Document.objects.search("dog", k=2).acount() == 2
        hybrid = await Document.objects.ahybrid_search("cat ran", k=1)
        assert [d.content for d in hybrid] == ["a cat ran"]
        reranked = [d async for d in Document.objects.order_by("pk")[:2].rerank("dog")]
        assert [d.content for d in reranked] == ["a dog ran", "a cat sat"]
        (chunk,) = await Document.objects.asearch_parents("cat sat", "author")
        assert (chunk.content, chunk.author_id) == ("a cat sat", ann.pk)

    asyncio.run(main())


# Pending documents


@pytest.fixture
def text_in(project: None) -> None:
    index_texts()


def unencoded() -> int:
    count: int = Document.objects.filter(embeddings=None).count()
    return count


def test_encoding_what_is_pending_survives_bulk_operations(text_in: None) -> None:
    Document.objects.bulk_create([Document(content="a cat"), Document(content="a dog")])
    assert encode_pending(Document) == (2, 0, 0)
    assert unencoded() == 0

    cat = Document.objects.get(content="a cat")
    cat.content = "a tiger"
    cat.save()
    assert unencoded() == 1
    Document.objects.filter(content="a dog").update(content="a wolf")
    assert unencoded() == 2
    assert encode_pending(cat).encoded == 2

    for document in (changed := list(Document.objects.all())):
        document.content += " at night"
    Document.objects.bulk_update(changed, ["content"])
    Document.objects.bulk_create(
        [Document(pk=cat.pk, content="a lion")],
        update_conflicts=True,
        unique_fields=["pk"],
        update_fields=["content"],
    )
    assert unencoded() == 2
    assert encode_pending(Document, batch=1).encoded == 2
    assert Document.objects.search("lion", k=1).get().pk == cat.pk
    np.testing.assert_allclose(
        Document.objects.get(pk=cat.pk).embeddings, vectors("a lion"), atol=1e-6
    )
    assert encode_pending(Document) == (0, 0, 0)


def test_a_document_that_is_saved_unchanged_keeps_its_array(text_in: None) -> None:
    document = add("a cat")
    document.lang = "fr"
    document.save()
    assert unencoded() == 0


def test_a_document_that_cannot_be_stored_spoils_no_transaction(text_in: None) -> None:
    Document.objects.bulk_create([Document(content="a cat"), Document(content="a dog")])
    sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.content = 'a cat' AND NEW.embeddings IS NOT NULL THEN RAISE 'no cats'; END IF;"
        " RETURN NEW; END $$; "
        "CREATE TRIGGER refuse BEFORE UPDATE ON library_document"
        " FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    assert encode_pending(Document) == (1, 1, 0)
    assert Document.objects.get(embeddings=None).content == "a cat"


def test_encoding_needs_an_index_that_names_a_text_and_has_the_model(text_in: None) -> None:
    with pytest.raises(ValueError, match=r"no index of table .* names a column of texts"):
        encode_pending(Note)
    sql("SELECT colbert.drop_index('library_document')::text")
    sql(
        "SELECT colbert.create_index('library_document',"
        ' options => \'{"text": "content", "model": "another"}\')::text'
    )
    with pytest.raises(ModelMismatch):
        encode_pending(Document)


# Commands of manage.py


@pytest.fixture
def collection(committing: str) -> str:
    index_texts()
    Document.objects.bulk_create([Document(content="a cat"), Document(content="a dog")])
    return committing


def run(*arguments: str, **options: Any) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def test_the_worker_encodes_with_the_encoder_of_the_settings(collection: str) -> None:
    out, err = run("colbert_worker", "library.Document", "--once")
    assert unencoded() == 0
    assert out == ""
    assert "2 documents encoded, 0 failed" in err
    Document.objects.create(content="a bird")
    assert run("colbert_worker", "--once", "--database", "default", "--verbosity", "0") == ("", "")
    assert unencoded() == 0


def test_the_worker_says_what_it_cannot_work_for(collection: str) -> None:
    with pytest.raises(CommandError, match="names a column of texts"):
        run("colbert_worker", "library.Note", "--once")
    with pytest.raises(CommandError, match=r"name models as library\.Document"):
        run("colbert_worker", "library.Nothing", "--once")
    sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'no'; END $$; CREATE TRIGGER refuse BEFORE UPDATE ON library_document"
        " FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    with pytest.raises(SystemExit, match="1"):
        run("colbert_worker", "--once")


def test_check_finds_what_is_wrong_and_repair_mends_it(collection: str) -> None:
    run("colbert_worker", "--once", "--verbosity", "0")
    out, _ = run("colbert_check")
    assert out.count("right") == 3
    with psycopg.connect(collection) as behind:
        behind.execute("SET session_replication_role = replica")
        behind.execute("DELETE FROM library_document WHERE content = 'a cat'")
    said = io.StringIO()
    with pytest.raises(SystemExit, match="1"):
        call_command("colbert_check", "library.Document", stdout=said)
    assert said.getvalue().startswith("library_document: orphaned document: ")
    out, _ = run("colbert_check", "library.Document", "--repair")
    assert "1 documents mended" in out
    assert run("colbert_check", "library.Document", "--verbosity", "0") == ("", "")
    with pytest.raises(CommandError, match=r"library\.Author has no late-interaction index"):
        run("colbert_check", "library.Author")


def test_reindex_and_maintain_build_anew(collection: str) -> None:
    run("colbert_worker", "--once", "--verbosity", "0")
    table = (
        "SELECT c.relname FROM colbert._index AS i JOIN pg_class AS c ON c.oid = i.tables[1]"
        " WHERE i.source = 'library_document'::regclass"
    )
    assert "built anew" in run("colbert_reindex", "library.Document")[0]
    [(trained,)] = sql(table)
    of_centroids = "SELECT min(id), max(id) FROM {}"
    before = sql(of_centroids.format(trained))
    assert "built anew" in run("colbert_reindex", "--no-retrain")[0]
    [(kept,)] = sql(table)
    assert kept != trained
    assert sql(of_centroids.format(kept)) == before
    [(centroids,)] = sql(table)
    sql(f"DROP TABLE {centroids} CASCADE")
    assert sql(table) == []
    assert run("colbert_maintain") == ("", "")
    assert len(sql(table)) == 1
    assert run("colbert_check", "--verbosity", "0") == ("", "")
    for command in ("colbert_maintain", "colbert_reindex"):
        with transaction.atomic(), pytest.raises(CommandError, match="outside of a transaction"):
            run(command)


def test_commands_say_where_colbert_pg_is_not_installed(bare_database: str) -> None:
    site.connect(bare_database)
    try:
        for command in ("colbert_check", "colbert_reindex"):
            with pytest.raises(CommandError, match="not installed"):
                run(command)
        with pytest.raises(CommandError, match=r"colbert_pg|pgvector"):
            run("colbert_worker", "--once")
    finally:
        connection.close()


# The rest


def test_a_similarity_is_a_score_under_another_name(texts: dict[str, Document]) -> None:
    found = Document.objects.search("cat", k=3).annotate(similarity=F("score"))
    assert [d.similarity for d in found] == [d.score for d in found]
    assert found.filter(similarity__gt=0.9).count() == 3


def test_the_admin_leaves_vectors_out(project: None) -> None:
    admin = LateInteractionAdmin(Note, admin_site)
    assert admin.get_exclude(None) == ["halves", "title"]
    note = Note.objects.create(content="cat", halves=vectors("cat"))
    assert {"halves", "title"} <= admin.get_queryset(None).get(pk=note.pk).get_deferred_fields()
    Tag.objects.create(name="unrelated")
