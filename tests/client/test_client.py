"""The client: every method against the database, on the caller's connection and terms."""

from __future__ import annotations

import asyncio
import datetime
import inspect
import threading
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg import errors, sql
from psycopg.adapt import PyFormat
from psycopg.rows import dict_row
from psycopg.types.string import TextLoader

from colbert_pg import (
    AsyncClient,
    Client,
    DocumentMissing,
    EncoderMissing,
    ModelMismatch,
    NotInstalled,
)
from colbert_pg.cli._table import Table
from colbert_pg.vectors import Matrix, TokenArray
from tests.client.words import TEXTS, Word, WordEncoder, maxsim
from tests.waiting import PATIENCE

QUERY = "cat on a mat"

Connection = psycopg.Connection[Any]


def expected(encoder: WordEncoder, query: str, texts: Sequence[str]) -> list[float]:
    (vectors,) = encoder.encode_queries([query])
    return [maxsim(vectors, document) for document in encoder.encode_documents(texts)]


def count(connection: Connection, table: str = "documents") -> int:
    row = connection.execute(f"SELECT count(*) AS count FROM {table}").fetchone()
    assert row is not None
    return int(row["count"] if isinstance(row, dict) else row[0])


# Installing


def test_install_leaves_the_commit_to_the_caller(bare_database: str) -> None:
    with psycopg.connect(bare_database) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.commit()
        Client(connection).install()
        assert Client(connection).indexes() == []
        connection.rollback()
        with pytest.raises(NotInstalled, match=r"Client\.install"):
            Client(connection).indexes()


def test_install_in_autocommit_mode_is_one_transaction_and_may_be_repeated(
    bare_database: str,
) -> None:
    with psycopg.connect(bare_database, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        Client(connection).install()
        Client(connection).install()
    with psycopg.connect(bare_database) as connection:
        assert Client(connection).indexes() == []


def test_install_creates_no_extension_by_itself(bare_database: str) -> None:
    with (
        psycopg.connect(bare_database) as connection,
        pytest.raises(errors.UndefinedObject) as raised,
    ):
        Client(connection).install()
    assert raised.value.diag.message_hint is not None
    assert "CREATE EXTENSION vector" in raised.value.diag.message_hint


def test_search_without_pgvector_says_what_is_missing(bare_database: str) -> None:
    with (
        psycopg.connect(bare_database) as connection,
        pytest.raises(NotInstalled, match="pgvector"),
    ):
        Client(connection).search("documents", [[1.0]])


# Searching


def test_search_returns_the_best_documents_first_with_their_exact_scores(
    client: Client, encoder: WordEncoder
) -> None:
    scores = expected(encoder, QUERY, TEXTS)
    hits = client.search("documents", QUERY, k=3)
    best = sorted(range(4), key=lambda document: -scores[document])[:3]
    assert [hit.doc_id for hit in hits] == [document + 1 for document in best]
    assert [hit.score for hit in hits] == pytest.approx([scores[d] for d in best], abs=1e-5)


@pytest.mark.parametrize("exact", [False, True])
def test_vectors_find_what_their_text_finds(
    client: Client, encoder: WordEncoder, exact: bool
) -> None:
    (vectors,) = encoder.encode_queries([QUERY])
    by_text = client.search("documents", QUERY, exact=exact)
    assert client.search("documents", vectors, exact=exact) == by_text
    assert client.search("documents", vectors.tolist(), exact=exact) == by_text
    assert len(by_text) == 4


def test_filter_takes_its_values_from_params(client: Client) -> None:
    hits = client.search(
        "documents", QUERY, filter="lang = params->>'lang'", params={"lang": "de' OR true --"}
    )
    assert hits == []
    hits = client.search("documents", QUERY, filter="lang = params->>'lang'", params={"lang": "de"})
    assert {hit.doc_id for hit in hits} == {3, 4}


@pytest.mark.parametrize("key_type", ["bigint", "text", "uuid", "numeric"])
def test_stages_and_recall_come_for_keys_of_any_type_and_under_a_filter(
    connection: Connection, encoder: WordEncoder, key_type: str
) -> None:
    connection.execute(
        f"CREATE TABLE notes (id {key_type} PRIMARY KEY, content text, embeddings vector(32)[])"
    )
    client = Client(connection, encoder)
    client.create_index("notes")
    keys = [uuid.UUID(int=n) for n in range(4)] if key_type == "uuid" else [1, 2, 3, 4]
    client.add("notes", TEXTS, keys=[str(k) for k in keys] if key_type == "text" else keys)
    limited: dict[str, Any] = {"filter": "content LIKE params->>'like'", "params": {"like": "%a%"}}
    scope, *_, last = client.explain_search("notes", QUERY, k=1, **limited)
    assert (scope.stage, scope.documents, scope.rows_read) == ("scope", 4, None)
    assert last.documents >= 1
    assert [s.stage for s in client.explain_search("notes", QUERY, exact=True)] == ["all"]
    assert client.measure_recall("notes", k=1, **limited).recall == 1
    assert client.tune("notes", 0.5, k=1, **limited)


def test_candidates_limit_what_is_scored(client: Client) -> None:
    assert len(client.search("documents", QUERY, k=1, candidates=1)) == 1


def test_keys_of_a_fixed_length_are_told_apart_by_all_of_their_characters(
    connection: Connection, encoder: WordEncoder
) -> None:
    connection.execute(
        "CREATE TABLE codes (id char(3) PRIMARY KEY, content text, embeddings vector(32)[])"
    )
    client = Client(connection, encoder)
    client.create_index("codes", method="exact")
    client.add("codes", ["decoy", *TEXTS[:2]], keys=["A", "AB1", "AB2"])
    assert [hit.doc_id for hit in client.rerank("codes", QUERY, ["AB2", "AB1"])] == ["AB1", "AB2"]
    (stored,) = client.embeddings("codes", ["AB2"])
    assert stored is not None
    assert len(stored) == len(encoder.encode_documents([TEXTS[1]])[0])
    assert client.explain("codes", "dog", "AB2").content == TEXTS[1]


@pytest.mark.parametrize(
    ("key_type", "keys"),
    [
        ("integer", [10, 20, 30, 40]),
        ("bigint", [2**40, 2**41, 2**42, 2**43]),
        ("text", ["a", "b", "c d", "'; DROP TABLE x --"]),
        ("uuid", [uuid.UUID(int=number) for number in range(1, 5)]),
    ],
)
def test_keys_of_any_type_come_back_as_they_are(
    connection: Connection, encoder: WordEncoder, key_type: str, keys: list[Any]
) -> None:
    connection.execute(
        f"CREATE TABLE notes (id {key_type} PRIMARY KEY, content text, embeddings vector(32)[])"
    )
    client = Client(connection, encoder)
    client.create_index("notes")
    assert client.add("notes", TEXTS, keys=keys) == 4
    assert client.search("notes", TEXTS[1], k=1)[0].doc_id == keys[1]
    assert [hit.doc_id for hit in client.rerank("notes", TEXTS[2], keys[1:3])] == [keys[2], keys[1]]
    explained = client.explain("notes", TEXTS[3], keys[3])
    assert explained.score == pytest.approx(len(explained.matches), abs=1e-5)
    (matrix,) = client.embeddings("notes", [keys[0]])
    assert matrix is not None


def test_hostile_names_need_only_the_quotes_of_sql(
    connection: Connection, encoder: WordEncoder
) -> None:
    connection.execute('CREATE SCHEMA "We ird"')
    connection.execute(
        'CREATE TABLE "We ird"."t;x" ("k%e""y" text PRIMARY KEY, "con tent" text,'
        ' "em""b%s" vector(32)[])'
    )
    source = '"We ird"."t;x"'
    client = Client(connection, encoder)
    client.create_index(source, 'em"b%s')
    client.add(source, TEXTS, keys=["1", "2", "3", "4"], content_column="con tent")
    assert client.search(source, TEXTS[0], k=1)[0].doc_id == "1"
    assert client.explain(source, "cat", "1", content_column="con tent").content == TEXTS[0]
    assert client.embeddings(source, ["nowhere"]) == [None]
    assert client.check_index(source) == []
    client.drop_index(source)


def test_one_of_two_indexed_columns_is_named(connection: Connection, encoder: WordEncoder) -> None:
    connection.execute(
        "CREATE TABLE papers (id integer PRIMARY KEY, content text,"
        " title vector(32)[], body halfvec(32)[])"
    )
    client = Client(connection, encoder)
    client.create_index("papers", "title")
    client.create_index("papers", "body")
    titles = encoder.encode_documents(["first title", "second title"])
    client.add(
        "papers",
        ["a cat", "a dog"],
        keys=[1, 2],
        embeddings_column="body",
        columns={"title": [TokenArray(title) for title in titles]},
    )
    assert client.search("papers", "second", embeddings="title")[0].doc_id == 2
    assert client.search("papers", "cat", embeddings="body")[0].doc_id == 1
    assert client.explain("papers", "cat", 1, embeddings="body").score > 0.99
    assert client.rerank("papers", "second", [1, 2], k=1, embeddings="title")[0].doc_id == 2
    with pytest.raises(psycopg.Error):
        client.search("papers", "cat")


def test_errors_of_the_database_come_through_with_their_sqlstate(client: Client) -> None:
    with pytest.raises(psycopg.Error) as raised:
        client.search("documents", np.ones((2, 5), dtype=np.float32))
    assert raised.value.sqlstate is not None
    assert raised.value.sqlstate.startswith("22")
    with pytest.raises(errors.InFailedSqlTransaction):  # the client did not roll back by itself
        client.indexes()


def test_text_without_an_encoder_is_an_error(client: Client, connection: Connection) -> None:
    with pytest.raises(EncoderMissing):
        Client(connection).search("documents", QUERY)
    with pytest.raises(EncoderMissing):
        Client(connection).add("documents", TEXTS)


# Empty search boxes


@pytest.mark.parametrize("blank", ["", " \n\t"])
def test_the_text_of_an_empty_search_box_finds_nothing(
    client: Client, encoder: WordEncoder, blank: str
) -> None:
    encoder.encoded.clear()
    assert client.search("documents", blank) == []
    assert client.search("documents", blank, exact=True) == []
    assert client.hybrid_search("documents", blank) == []
    assert client.search_parents("documents", blank, "lang") == []
    assert client.rerank("documents", blank, [1, 2]) == []
    assert client.explain_search("documents", blank) == []
    assert client.explain("documents", blank, 1) == (1, 0, [], TEXTS[0])
    assert encoder.encoded == []


def test_text_of_which_no_vectors_are_made_finds_nothing(client: Client) -> None:
    assert client.search("documents", "?!") == []


def test_a_query_of_no_vectors_stays_an_error(client: Client) -> None:
    with pytest.raises(psycopg.DataError):
        client.search("documents", np.empty((0, 32), dtype=np.float32))


# Reranking and explaining


def test_rerank_scores_the_given_documents_alone(client: Client, encoder: WordEncoder) -> None:
    scores = expected(encoder, QUERY, TEXTS)
    hits = client.rerank("documents", QUERY, [4, 2])
    assert {hit.doc_id: pytest.approx(hit.score, abs=1e-5) for hit in hits} == {
        2: scores[1],
        4: scores[3],
    }
    assert client.rerank("documents", QUERY, [4, 2], k=1) == hits[:1]
    assert client.rerank("documents", QUERY, []) == []


def test_explain_names_the_words_that_matched(client: Client) -> None:
    explained = client.explain("documents", "MAT cat", 1)
    assert [match.query_token for match in explained.matches] == [
        Word("MAT", 0, 3),
        Word("cat", 4, 7),
    ]
    assert [match.document_token for match in explained.matches] == [
        Word("mat", 17, 20),
        Word("cat", 2, 5),
    ]
    assert [match.query_position for match in explained.matches] == [1, 2]
    assert [match.document_position for match in explained.matches] == [6, 2]
    assert explained.content == TEXTS[0]
    assert explained.score == pytest.approx(2, abs=1e-5)


def test_explain_of_vectors_without_an_encoder_gives_positions(
    connection: Connection, client: Client, encoder: WordEncoder
) -> None:
    (vectors,) = encoder.encode_queries(["mat"])
    (match,) = Client(connection).explain("documents", vectors, 1).matches
    assert match[:4] == (1, None, 6, None)


@pytest.mark.parametrize("query", [QUERY, ""])
def test_explain_of_a_document_that_is_not_there_is_an_error(client: Client, query: str) -> None:
    with pytest.raises(DocumentMissing, match="no document with the key 99") as raised:
        client.explain("documents", query, 99)
    assert (raised.value.source, raised.value.doc_id) == ("documents", 99)


def test_a_document_without_vectors_is_there_and_matches_nothing(client: Client) -> None:
    client.add("documents", ["x"], embeddings=[None])
    assert client.explain("documents", QUERY, 5) == (5, 0, [], "x")


# Adding


def test_add_leaves_the_commit_to_the_caller(connection: Connection, client: Client) -> None:
    assert count(connection) == 4
    connection.rollback()
    row = connection.execute("SELECT to_regclass('documents')").fetchone()
    assert row == (None,)


def test_stored_vectors_are_those_of_the_encoder(client: Client, encoder: WordEncoder) -> None:
    stored = client.embeddings("documents", [3, 99, 1])
    third, first = encoder.encode_documents([TEXTS[2], TEXTS[0]])
    assert stored[1] is None
    np.testing.assert_array_equal(np.asarray(stored[0]), third)
    np.testing.assert_array_equal(np.asarray(stored[2]), first)


def test_vectors_given_are_not_encoded_and_none_is_null(
    client: Client, encoder: WordEncoder
) -> None:
    encoder.encoded.clear()
    matrices = [np.eye(2, 32, dtype=np.float32), None, np.empty((0, 32), dtype=np.float32)]
    assert client.add("documents", ["x", "y", "z"], embeddings=matrices) == 3
    assert encoder.encoded == []
    first, null, empty = client.embeddings("documents", [5, 6, 7])
    np.testing.assert_array_equal(np.asarray(first), np.eye(2, 32))
    assert null is None
    assert empty is not None
    assert len(empty) == 0
    assert {hit.doc_id for hit in client.search("documents", QUERY, k=9)} == {1, 2, 3, 4, 5}


def test_other_columns_take_the_values_that_psycopg_has_for_their_types(
    connection: Connection, encoder: WordEncoder
) -> None:
    connection.execute("CREATE TYPE mood AS ENUM ('good', 'bad')")
    connection.execute("CREATE DOMAIN short AS varchar(9)")
    connection.execute(
        "CREATE TABLE rich (id uuid PRIMARY KEY, content text, embeddings halfvec(32)[],"
        " at timestamptz, meta jsonb, mood mood, name short, tags text[], n smallint)"
    )
    key = uuid.UUID(int=7)
    at = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    Client(connection, encoder).add(
        "rich",
        ["a cat"],
        keys=[str(key)],
        columns={
            "at": [at],
            "meta": [{"a": [1, None]}],
            "mood": ["bad"],
            "name": ["short"],
            "tags": [["x", "y"]],
            "n": [3],
        },
    )
    row = connection.execute("SELECT id, at, meta, mood, name, tags, n FROM rich").fetchone()
    assert row == (key, at, {"a": [1, None]}, "bad", "short", ["x", "y"], 3)


def test_columns_of_bits_take_signs_and_give_them_back(
    connection: Connection, encoder: WordEncoder
) -> None:
    connection.execute("CREATE TABLE signs (id int PRIMARY KEY, content text, bits bit(32)[])")
    client = Client(connection, encoder)
    client.create_index("signs", embeddings="bits")
    matrices = [*encoder.encode_documents(TEXTS), None, np.empty((0, 32), dtype=np.float32)]
    client.add("signs", [*TEXTS, "", ""], keys=range(6), embeddings=matrices)
    stored = client.embeddings("signs", [3, 0, 4, 5, 99])
    for matrix, given in ((stored[0], matrices[3]), (stored[1], matrices[0])):
        assert matrix is not None
        assert given is not None
        np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1, rtol=1e-6)
        np.testing.assert_array_equal(matrix > 0, given > 0)
    assert stored[2] is None
    assert stored[3] is not None
    assert len(stored[3]) == 0
    assert stored[4] is None
    (hit,) = client.search("signs", TEXTS[2], k=1)
    assert hit.doc_id == 2
    assert client.explain("signs", TEXTS[2], 2).score == pytest.approx(hit.score)


def test_results_below_min_score_are_left_out(client: Client, encoder: WordEncoder) -> None:
    vectors = encoder.encode_queries([QUERY])[0]
    hits = client.search("documents", QUERY, k=9)
    least = (hits[1].score + hits[0].score) / 2 / len(vectors)
    assert client.search("documents", QUERY, k=9, min_score=least) == hits[:1]
    assert client.search("documents", 3 * vectors, k=9, min_score=least)[0].doc_id == hits[0].doc_id
    ids = [hit.doc_id for hit in hits]
    assert client.rerank("documents", QUERY, ids, min_score=least) == hits[:1]
    parents = client.search_parents("documents", QUERY, "id", k=9, min_score=least)
    assert [parent.parent_id for parent in parents] == ids[:1]
    stages = client.explain_search("documents", QUERY, min_score=least)
    assert stages
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="min_score"):
        client.search("documents", QUERY, min_score=2)


def test_half_vectors_are_found_like_full_ones(
    connection: Connection, encoder: WordEncoder
) -> None:
    connection.execute(
        "CREATE TABLE halves (id integer PRIMARY KEY, content text, embeddings halfvec(32)[])"
    )
    client = Client(connection, encoder)
    client.create_index("halves")
    client.add("halves", TEXTS, keys=[1, 2, 3, 4])
    (hit,) = client.search("halves", TEXTS[2], k=1)
    assert hit.doc_id == 3
    assert hit.score == pytest.approx(5, abs=0.01)


def test_columns_of_different_lengths_are_refused_before_anything_is_sent(
    connection: Connection, client: Client
) -> None:
    with pytest.raises(ValueError, match="value per document"):
        client.add("documents", ["one", "two"], columns={"lang": ["en"]})
    assert count(connection) == 4


def test_column_that_is_not_there_is_refused(client: Client) -> None:
    with pytest.raises(ValueError, match='no column "texte"'):
        client.add("documents", ["one"], content_column="texte")


@pytest.mark.parametrize(
    "arguments",
    [
        {"columns": {"lang": "de"}},
        {"columns": {"lang": b"de"}},
        {"columns": {"lang": {"a": "de"}}},
        {"columns": {"lang": 7}},
        {"keys": "ab"},
        {"keys": 7},
        {"embeddings": "ab"},
    ],
    ids=str,
)
def test_a_single_value_where_one_for_each_document_belongs_is_refused(
    connection: Connection, client: Client, arguments: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match="takes a list with a value for each document"):
        client.add("documents", ["one", "two"], **arguments)
    with pytest.raises(TypeError, match="takes a list with a value for each document"):
        client.add("documents", "ab")
    assert count(connection) == 4


# What is no connection, no encoder, no text, no vectors


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_client_says_what_it_takes(connection: Connection, kind: type) -> None:
    for wrong in ("postgresql://me:secret@host/db", None, psycopg, connection.cursor()):
        with pytest.raises(TypeError, match="takes an open connection of psycopg 3") as raised:
            kind(wrong)
        assert "secret" not in str(raised.value)
    with pytest.raises(TypeError, match=r"Encoder\('model'\)"):
        Client(connection, "model")  # type: ignore[arg-type]
    for encoder in (WordEncoder, 7):
        with pytest.raises(TypeError, match="an encoder is expected"):
            Client(connection, encoder)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="for Client, not for AsyncClient"):
        AsyncClient(connection)  # type: ignore[arg-type]


MATRIX = np.eye(2, 32, dtype=np.float32)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda c: c.hybrid_search("documents", MATRIX), "query must be text here"),
        (lambda c: c.hybrid_search("documents", "x", vectors="x"), "not text"),
        (lambda c: c.search("documents", ["a cat"]), "vectors are expected, .* not text"),
        (lambda c: c.search("documents", b"a cat"), "vectors are expected, .* not text"),
        (lambda c: c.search("documents", object()), "vectors are expected, .* not object"),
        (lambda c: c.add("documents", [MATRIX]), "contents are texts, but number 0 is"),
        (lambda c: c.add("documents", MATRIX), "contents are texts, but number 0 is"),
        (lambda c: c.add("documents", ["x", None]), "number 1 is None"),
        (lambda c: c.add("documents", ["x"], embeddings=["x"]), "vectors are expected"),
        (lambda c: c.rerank("documents", "x", "ab"), "takes a list of keys, not text"),
        (lambda c: c.rerank("documents", "x", 7), "takes a list of keys"),
        (lambda c: c.embeddings("documents", "ab"), "takes a list of keys"),
    ],
)
def test_text_for_vectors_and_vectors_for_text_are_refused_in_a_sentence(
    client: Client, call: Any, sentence: str
) -> None:
    with pytest.raises(TypeError, match=sentence):
        call(client)
    assert client.search("documents", QUERY)  # nothing was sent


def test_vectors_of_different_lengths_are_refused_in_a_sentence(client: Client) -> None:
    with pytest.raises(ValueError, match="one length each"):
        client.search("documents", [[1.0], [1.0, 2.0]])


def test_params_may_be_dates_numbers_and_uuids(client: Client, connection: Connection) -> None:
    number, moment = uuid.UUID(int=7), datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.UTC)
    params = {
        "day": datetime.date(2026, 1, 2),
        "moment": moment,
        "span": datetime.timedelta(days=-1, hours=3),
        "number": number,
        "price": Decimal("1.50"),
        "ids": np.array([1, 2]),
        "one": np.float32(1.5),
        "nested": {"of": (number, None, True)},
    }
    condition = f"""
        (params->>'day')::date = '2026-01-02' AND (params->>'moment')::timestamptz = '{moment}'
        AND (params->>'span')::interval = '-21 hours' AND (params->>'number')::uuid = '{number}'
        AND (params->>'price')::numeric = 1.5 AND params->'ids' @> to_jsonb(id)
        AND (params->>'one')::float8 = 1.5
        AND params->'nested' = '{{"of": ["{number}", null, true]}}'"""
    hits = client.search("documents", QUERY, filter=condition, params=params)
    assert {hit.doc_id for hit in hits} == {1, 2}


@pytest.mark.parametrize(
    "value", [float("nan"), b"x", object(), {MATRIX.tobytes(): 1}], ids=lambda value: type(value)
)
def test_params_that_json_cannot_hold_are_refused_in_a_sentence(client: Client, value: Any) -> None:
    with pytest.raises(TypeError, match="JSON"):
        client.search("documents", QUERY, filter="true", params={"x": value})


# Models


def test_index_remembers_the_model(client: Client) -> None:
    (index,) = client.indexes()
    assert index["options"]["model"] == {
        "name": "words",
        "dimensions": 32,
        "options": ["lower", 1],
    }


def test_text_of_another_model_is_refused_everywhere(
    connection: Connection, client: Client
) -> None:
    other = Client(connection, WordEncoder(name="other words"))
    with pytest.raises(ModelMismatch, match='the index says name "words"') as raised:
        other.search("documents", QUERY)
    assert raised.value.encoder_model["name"] == "other words"
    for attempt in (
        lambda: other.add("documents", TEXTS),
        lambda: other.rerank("documents", QUERY, [1]),
        lambda: other.explain("documents", QUERY, 1),
    ):
        with pytest.raises(ModelMismatch):
            attempt()
    assert count(connection) == 4


def test_model_of_other_dimensions_is_a_mismatch_and_no_database_error(
    connection: Connection, client: Client
) -> None:
    with pytest.raises(ModelMismatch, match="dimensions 32"):
        Client(connection, WordEncoder(dimensions=16)).search("documents", QUERY)


def test_index_made_anew_of_another_model_by_somebody_else_is_noticed(
    connection: Connection, client: Client
) -> None:
    assert client.search("documents", QUERY)
    other = Client(connection, WordEncoder(name="other words"))
    other.drop_index("documents")
    other.create_index("documents")
    with pytest.raises(ModelMismatch):
        client.search("documents", QUERY)
    assert other.search("documents", QUERY)


@pytest.mark.parametrize("method", ["explain", "explain_search"])
def test_an_explanation_notices_an_index_made_anew_of_another_model(
    connection: Connection, client: Client, method: str
) -> None:
    def explain() -> Any:
        return getattr(client, method)("documents", QUERY, *([1] if method == "explain" else []))

    assert explain()
    other = Client(connection, WordEncoder(name="other words"))
    other.drop_index("documents")
    other.create_index("documents")
    with pytest.raises(ModelMismatch):
        explain()


def test_index_made_without_a_model_takes_any(connection: Connection, client: Client) -> None:
    client.drop_index("documents")
    Client(connection).create_index("documents", method="exact", options={"candidates": 50})
    assert Client(connection, WordEncoder(name="other words")).search("documents", QUERY)


# Maintaining


def test_damage_is_found_and_repaired(connection: Connection, client: Client) -> None:
    assert client.check_index("documents") == []
    connection.execute("SET LOCAL session_replication_role = replica")  # no triggers
    connection.execute("DELETE FROM documents WHERE id = 2")
    connection.execute("SET LOCAL session_replication_role = origin")
    problems = client.check_index("documents")
    assert {problem.doc_id for problem in problems} == {"2"}
    assert client.repair_index("documents") == 1
    assert client.check_index("documents") == []


def test_reindex_keeps_results(client: Client) -> None:
    before = client.search("documents", QUERY)
    client.reindex("documents")
    assert client.search("documents", QUERY) == before
    client.reindex("documents", retrain=False)
    assert client.search("documents", QUERY) == before


def test_drop_index_leaves_the_documents(connection: Connection, client: Client) -> None:
    client.drop_index("documents")
    assert client.indexes() == []
    assert count(connection) == 4


def test_method_options_and_key_reach_the_index(connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE t (a integer PRIMARY KEY, b text UNIQUE NOT NULL, v vector(4)[])"
    )
    Client(connection).create_index("t", "v", method="ivfflat", options={"candidates": 7}, key="b")
    (index,) = Client(connection).indexes()
    assert (index["method"], index["key"], index["embeddings"]) == ("ivfflat", "b", "v")
    assert index["options"] == {"candidates": 7}


# The connection stays the caller's


def test_connection_keeps_its_ways_and_they_do_not_matter(database: str) -> None:
    with psycopg.connect(
        database,
        row_factory=dict_row,
        cursor_factory=psycopg.ClientCursor,
    ) as connection:
        connection.execute(
            "CREATE TABLE documents (id text PRIMARY KEY, content text, embeddings vector(32)[])"
        )
        client = Client(connection, WordEncoder())
        client.create_index("documents")
        client.add("documents", TEXTS, keys=["a", "b", "c", "d"])
        assert client.search("documents", TEXTS[1], k=1)[0].doc_id == "b"
        assert count(connection) == 4
        with pytest.raises(psycopg.ProgrammingError):
            connection.adapters.get_dumper(TokenArray, PyFormat.AUTO)
        row = connection.execute("SELECT embeddings FROM documents LIMIT 1").fetchone()
        assert isinstance(row, dict)
        assert isinstance(row["embeddings"], str)  # not a matrix: nothing was registered
        connection.rollback()


def test_a_connection_that_returns_jsonb_as_text_serves_as_well(
    connection: Connection, client: Client
) -> None:
    connection.adapters.register_loader("jsonb", TextLoader)  # as Django does
    connection.adapters.register_loader("json", TextLoader)
    assert client.search("documents", QUERY, k=1)[0].doc_id == 1
    assert client.indexes()[0]["options"]["model"]["name"] == "words"
    assert Table(connection, "documents").model() == client.indexes()[0]["options"]["model"]
    with pytest.raises(ModelMismatch):
        Client(connection, WordEncoder(name="other words")).search("documents", QUERY)
    row = connection.execute("SELECT '{}'::jsonb, '{}'::json").fetchone()
    assert row == ("{}", "{}")  # the caller's cursors go on as they were


def test_pgvector_in_a_schema_off_the_search_path(bare_database: str) -> None:
    with psycopg.connect(bare_database) as connection:
        connection.execute("CREATE SCHEMA extensions")
        connection.execute("CREATE EXTENSION vector SCHEMA extensions")
        client = Client(connection, WordEncoder())
        client.install()
        connection.execute(
            "CREATE TABLE documents (id integer PRIMARY KEY, content text,"
            " embeddings extensions.vector(32)[])"
        )
        client.create_index("documents")
        client.add("documents", TEXTS, keys=[1, 2, 3, 4])
        assert client.search("documents", TEXTS[3], k=1)[0].doc_id == 4
        connection.rollback()


def test_search_reads_only(database: str) -> None:
    with psycopg.connect(database) as connection:
        client = Client(connection, WordEncoder())
        connection.execute(
            "CREATE TABLE documents (id integer PRIMARY KEY, content text, embeddings vector(32)[])"
        )
        client.create_index("documents")
        client.add("documents", TEXTS, keys=[1, 2, 3, 4])
        connection.commit()
        connection.execute("SET TRANSACTION READ ONLY")
        assert client.search("documents", QUERY)
        assert client.explain("documents", QUERY, 1).matches


def test_table_made_anew_with_other_keys_is_looked_at_again_after_the_error(
    connection: Connection, client: Client, encoder: WordEncoder
) -> None:
    client.search("documents", QUERY)
    connection.execute("DROP TABLE documents CASCADE")
    connection.execute(
        "CREATE TABLE documents (id text PRIMARY KEY, content text, embeddings vector(32)[])"
    )
    Client(connection, encoder).create_index("documents")
    client.add("documents", TEXTS, keys=["a", "b", "c", "d"])
    assert client.search("documents", TEXTS[0], k=1)[0].doc_id == "a"


def test_a_name_is_that_of_another_table_after_the_search_path_has_changed(
    connection: Connection, client: Client, encoder: WordEncoder
) -> None:
    connection.execute("CREATE SCHEMA other")
    connection.execute(
        "CREATE TABLE other.documents (id bigint PRIMARY KEY, content text, vectors vector(32)[])"
    )
    other = Client(connection, encoder)
    other.create_index("other.documents", "vectors")
    other.add("other.documents", ["a fox"], keys=[1])
    assert client.explain("documents", "cat", 1).content == TEXTS[0]
    assert client.embeddings("documents", [1])[0] is not None
    connection.execute("SET LOCAL search_path = other, public")
    explained = client.explain("documents", "fox", 1)
    assert explained.content == "a fox"
    assert explained.score == pytest.approx(1, abs=1e-5)
    connection.execute("SET LOCAL search_path = public, other")
    client.search("documents", QUERY)
    connection.execute("SET LOCAL search_path = other, public")
    (matrix,) = client.embeddings("documents", [1])
    np.testing.assert_array_equal(np.asarray(matrix), encoder.encode_documents(["a fox"])[0])


# The asynchronous client


def signatures(client: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(method)
        for name, method in inspect.getmembers(client, inspect.isfunction)
        if not name.startswith("_")
    }


def test_both_clients_have_the_same_methods() -> None:
    assert signatures(Client) == signatures(AsyncClient)


class NotingEncoder(WordEncoder):
    """Notes on which threads it works."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def _encode(self, text: str) -> Matrix:
        self.threads.add(threading.get_ident())
        return super()._encode(text)


async def use_async_client(database: str) -> None:
    encoder = NotingEncoder()
    async with await psycopg.AsyncConnection.connect(database) as connection:
        await connection.execute(
            "CREATE TABLE documents (id text PRIMARY KEY, content text, embeddings vector(32)[])"
        )
        client = AsyncClient(connection, encoder)
        await client.create_index("documents")
        assert await client.add("documents", TEXTS, keys=["a", "b", "c", "d"]) == 4
        hits = await client.search("documents", TEXTS[1], k=1)
        assert hits[0].doc_id == "b"
        assert await client.search("documents", " ") == []
        with pytest.raises(DocumentMissing):
            await client.explain("documents", "cat", "z")
        assert await client.rerank("documents", TEXTS[1], ["b"]) == hits
        explained = await client.explain("documents", "cat", "b")
        assert explained.matches[0].document_token == Word("cat", 19, 22)
        (matrix,) = await client.embeddings("documents", ["b"])
        assert matrix is not None
        assert (await client.indexes())[0]["key"] == "id"
        assert await client.check_index("documents") == []
        assert await client.repair_index("documents") == 0
        await client.reindex("documents")
        with pytest.raises(ModelMismatch):
            await AsyncClient(connection, WordEncoder(name="other")).search("documents", "cat")
        await client.drop_index("documents")
        await connection.rollback()
        assert encoder.threads
        assert threading.get_ident() not in encoder.threads


def test_async_client_does_the_same_and_encodes_beside_the_event_loop(database: str) -> None:
    asyncio.run(use_async_client(database))


class WaitingEncoder(WordEncoder):
    """Has encoded a query once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.called = threading.Event()
        self.may_return = threading.Event()

    def encode_queries(self, texts: Sequence[str]) -> list[Matrix]:
        self.called.set()
        assert self.may_return.wait(PATIENCE)
        return super().encode_queries(texts)


async def fail_beside_a_search(database: str) -> None:
    encoder = WaitingEncoder()
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute(
            "CREATE TABLE documents (id text PRIMARY KEY, content text, embeddings vector(32)[])"
        )
        client = AsyncClient(connection, encoder)
        await client.create_index("documents")
        await client.add("documents", TEXTS, keys=["a", "b", "c", "d"])
        search = asyncio.create_task(client.search("documents", TEXTS[1], k=1))
        await asyncio.to_thread(encoder.called.wait, PATIENCE)
        with pytest.raises(errors.UndefinedTable):
            await client.embeddings("nowhere", ["a"])
        encoder.may_return.set()
        assert [hit.doc_id for hit in await search] == ["b"]


def test_a_call_that_fails_does_no_harm_to_another_that_is_under_way(database: str) -> None:
    asyncio.run(fail_beside_a_search(database))


async def install_async(database: str) -> None:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute("CREATE EXTENSION vector")
        with pytest.raises(NotInstalled):
            await AsyncClient(connection).search("documents", [[1.0]])
        await AsyncClient(connection).install()
        assert await AsyncClient(connection).indexes() == []


def test_async_install_in_autocommit_mode(bare_database: str) -> None:
    asyncio.run(install_async(bare_database))


def test_a_schema_that_a_filter_misses_is_not_taken_for_that_of_colbert_pg(client: Client) -> None:
    with pytest.raises(errors.InvalidSchemaName, match="nosuch"):
        client.search("documents", QUERY, filter="nosuch.f(id)")


def test_identifiers_are_never_pasted(client: Client, connection: Connection) -> None:
    hostile = sql.Identifier('x"; DROP TABLE documents; --').as_string(connection)
    with pytest.raises(errors.UndefinedTable):
        client.search(hostile, QUERY)
