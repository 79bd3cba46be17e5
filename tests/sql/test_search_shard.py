"""search_shard: what a shard answers to whoever merges the answers of all shards."""

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.sql.documents import (
    AB,
    METHODS,
    A,
    B,
    Matrix,
    Row,
    create_index,
    create_table,
    hint,
    insert,
    primary,
    refusal,
    run,
    search,
    texts,
)

STATEMENT = "SELECT * FROM colbert.search_shard(%s, %s::text[]::vector[]::text, %s::jsonb)"


def answer(
    connection: psycopg.Connection, query: Matrix, request: object = None, source: str = "documents"
) -> list[Row]:
    return run(connection, STATEMENT, source, texts(query), json.dumps(request or {}))


def refused(connection: psycopg.Connection, request: object) -> psycopg.Error:
    return refusal(connection, STATEMENT, "documents", texts(A), json.dumps(request))


def as_text(rows: list[Row]) -> list[Row]:
    return [(str(key), *rest) for key, *rest in rows]


@pytest.mark.parametrize("method", METHODS)
def test_a_shard_answers_as_search_does(connection: psycopg.Connection, method: str) -> None:
    create_table(connection, more=", lang text DEFAULT 'en'")
    insert(connection, {1: AB, 2: B, 3: A})
    create_index(connection, more=f", method => '{method}'")
    run(connection, "UPDATE documents SET lang = 'de' WHERE id = 1")
    assert answer(connection, AB) == as_text(search(connection, AB))
    request = {"version": 1, "k": 1, "filter": "lang = params->>'l'", "params": {"l": "en"}}
    assert answer(connection, A, request) == [("3", 1.0)]
    assert answer(connection, A, {"min_score": 0.5, "exact": True}) == [("1", 1.0), ("3", 1.0)]
    assert answer(connection, A, {"k": None, "candidates": 100, "embeddings": "embeddings"}) == (
        as_text(search(connection, A))
    )


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("smallint", ["9", "10"]),
        ("uuid", ["00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"]),
        ("varchar(9)", ['a, "b"\'', "ä"]),
        ("date", ["2026-01-31", "2026-02-01"]),
    ],
)
def test_keys_of_every_type_come_as_text_in_their_own_order(
    connection: psycopg.Connection, key: str, values: list[str]
) -> None:
    create_table(connection, key=key)
    insert(connection, dict.fromkeys(values, A))
    create_index(connection)
    assert answer(connection, A) == [(value, 1.0) for value in values]


def test_knobs_hold_for_the_search_alone(documents: psycopg.Connection) -> None:
    run(documents, "SET LOCAL colbert.hits = 7; SET LOCAL TimeZone = 'Europe/Rome'")
    bad = refused(documents, {"knobs": {"candidates": "many"}})
    assert "candidates must be a whole number" in primary(bad)
    request = {"knobs": {"candidates": 2, "hits": "3", "effort": 1.5}, "time_zone": "Asia/Tokyo"}
    zone = request | {"filter": "current_setting('TimeZone') = 'Asia/Tokyo'"}
    assert answer(documents, A, zone) == answer(documents, A, request) != []
    assert run(
        documents,
        "SELECT current_setting('colbert.candidates', true), current_setting('colbert.hits'),"
        " current_setting('colbert.effort', true), current_setting('TimeZone')",
    ) == [("", "7", "", "Europe/Rome")]
    assert len(search(documents, A)) == 3  # what is empty is not set


def test_source_and_filter_are_read_under_the_search_path_of_the_request(
    documents: psycopg.Connection,
) -> None:
    run(
        documents,
        "CREATE SCHEMA elsewhere; CREATE FUNCTION elsewhere.wanted(bigint) RETURNS boolean"
        " LANGUAGE sql RETURN $1 = 2; ALTER TABLE documents SET SCHEMA elsewhere",
    )
    with pytest.raises(psycopg.errors.UndefinedTable), documents.transaction():
        answer(documents, A)
    request = {"search_path": "elsewhere, public", "filter": "wanted(id)"}
    assert answer(documents, B, request) == [("2", 1.0)]
    del request["search_path"]
    run(documents, "SET LOCAL search_path = elsewhere, public")
    assert answer(documents, B, request) == [("2", 1.0)]


def test_a_request_of_a_newer_version_is_refused(documents: psycopg.Connection) -> None:
    error = refused(documents, {"version": 2, "novelty": 1, "knobs": {"zeal": 1, "hits": 1}})
    assert error.sqlstate == "0A000"
    assert primary(error).endswith('it has "knobs.zeal", "novelty"')
    assert "The request says version 2." in (error.diag.message_detail or "")
    assert "up to version 1" in (error.diag.message_detail or "")
    assert "Upgrade colbert_pg on this shard" in hint(error)
    assert primary(refused(documents, {"version": 2})).endswith("it is of version 2")
    misspelt = refused(documents, {"kk": 3})
    assert "The request says version 1." in (misspelt.diag.message_detail or "")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ([], "request must be a JSON object"),
        ({"k": "3"}, '"k" of the request must not be "3"'),
        ({"k": 2.5}, '"k" of the request must not be 2.5'),
        ({"exact": 1}, '"exact" of the request must not be 1'),
        ({"knobs": []}, '"knobs" of the request must not be []'),
        ({"k": 0}, "k must be at least 1, not 0"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    documents: psycopg.Connection, request_: object, message: str
) -> None:
    error = refused(documents, request_)
    assert (error.sqlstate, primary(error)) == ("22023", message)


def test_a_shard_answers_with_the_rights_of_the_caller(
    documents: psycopg.Connection, new_role: Callable[[], str]
) -> None:
    role = new_role()
    run(documents, f"SET LOCAL ROLE {role}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), documents.transaction():
        answer(documents, A)
    run(documents, f"RESET ROLE; GRANT SELECT ON documents TO {role}; SET LOCAL ROLE {role}")
    assert len(answer(documents, A)) == 3


CALL = "SELECT colbert.call_shard('documents', %s, %s::jsonb)"


class TestCallShard:
    """What a shard does with its index for the server that is asked."""

    @pytest.mark.parametrize("method", METHODS)
    def test_answers_as_the_function_of_the_same_name(
        self, connection: psycopg.Connection, method: str
    ) -> None:
        create_table(connection)
        insert(connection, {1: AB, 2: B})
        create_index(connection, more=f", method => '{method}'")

        def called(operation: str, **request: object) -> Any:
            return run(connection, CALL, operation, json.dumps({"version": 1} | request))[0][0]

        assert called("keys") == ["1", "2"]
        buckets = [called("keys", buckets=2, bucket=i) for i in (0, 1)]
        assert sorted([*buckets[0], *buckets[1]]) == ["1", "2"]
        document = {"query": '{"[1,0,0]","[0,2,0]"}', "doc_id": "1", "embeddings": "embeddings"}
        assert called("maxsim", **document) == 3
        assert called("maxsim_matches", **document) == [[1, 1, 1], [2, 2, 2]]
        assert called("maxsim", **document | {"doc_id": "9"}) is None
        assert called("maxsim_matches", **document | {"doc_id": "9"}) == []
        assert called("check_index", sample=1)["problems"] == []
        assert called("repair_index") == 0
        assert called("reindex") is True
        assert called("reindex", retrain=False) is True
        assert called("drop_index") is True
        assert called("drop_index") is False

    def test_keys_of_a_type_without_a_hash_fall_into_buckets(
        self, connection: psycopg.Connection
    ) -> None:
        create_table(connection, key="bit(4)")
        create_index(connection)
        run(connection, "INSERT INTO documents SELECT i::bit(4) FROM generate_series(0, 9) i")
        sizes = [
            len(run(connection, CALL, "keys", json.dumps({"buckets": 3, "bucket": i}))[0][0])
            for i in range(3)
        ]
        assert sum(sizes) == 10 > max(sizes)

    def test_what_this_version_does_not_know_is_refused(
        self, documents: psycopg.Connection
    ) -> None:
        error = refusal(documents, CALL, "dance", "{}")
        assert error.sqlstate == "0A000"
        assert primary(error) == 'this shard does not know the operation "dance"'
        assert "Upgrade colbert_pg on this shard" in hint(error)
        assert refusal(documents, CALL, None, "{}").sqlstate == "0A000"
        error = refusal(documents, CALL, "reindex", json.dumps({"sample": 1}))
        assert primary(error).endswith('it has "sample"')
        error = refusal(documents, CALL, "reindex", json.dumps({"version": 2}))
        assert primary(error).endswith("it is of version 2")
        error = refusal(documents, CALL, "keys", json.dumps({"buckets": 1.5}))
        assert primary(error) == '"buckets" of the request must not be 1.5'
        error = refusal(documents, CALL, "keys", json.dumps({"buckets": 2, "bucket": 2}))
        assert (error.sqlstate, primary(error)) == ("22023", "there is no bucket 2 of 2")
