"""create_index, reindex and drop_index: what they take, make, refuse and leave behind."""

import json
from typing import Any

import numpy as np
import psycopg
import pytest

from tests.sql.documents import (
    AB,
    METHODS,
    A,
    B,
    create_index,
    create_table,
    hint,
    insert,
    keys,
    primary,
    problems,
    ranking,
    refusal,
    run,
    search,
    texts,
    tokens,
    unit,
    unit_documents,
)

LAYOUTS = [
    ("exact", None),
    *[(method, kept) for method in ("hnsw", "ivfflat") for kept in ("halfvec", "vector", "bit")],
]

# Everything outside the system's own schemas that a create_index could leave behind.
CATALOG = """
    SELECT 'relation', c.oid::regclass::text, c.relacl::text FROM pg_class AS c
     WHERE c.relnamespace <> 'pg_toast'::regnamespace
    UNION ALL SELECT 'function', p.oid::regprocedure::text, p.proacl::text FROM pg_proc AS p
    UNION ALL SELECT 'trigger', t.tgname, t.tgrelid::regclass::text FROM pg_trigger AS t
    UNION ALL SELECT 'policy', p.polname, p.polrelid::regclass::text FROM pg_policy AS p
    UNION ALL SELECT 'type', t.oid::regtype::text, NULL FROM pg_type AS t
    UNION ALL SELECT 'comment', d.description, d.classoid::regclass::text FROM pg_description AS d
    UNION ALL SELECT 'index', i.id::text, i.options::text FROM colbert._index AS i
    ORDER BY 1, 2, 3
"""


def options(method: str, kept: str | None, **more: object) -> str:
    given = {"token_type": kept, **more} if kept else more
    return f", method => '{method}', options => '{json.dumps(given)}'"


@pytest.mark.parametrize("element", ["vector", "halfvec"])
@pytest.mark.parametrize(("method", "kept"), LAYOUTS)
def test_every_method_and_layout_finds_and_follows_the_documents(
    connection: psycopg.Connection, method: str, kept: str | None, element: str
) -> None:
    create_table(connection, embeddings=f"{element}(3)[]")
    insert(connection, {1: AB, 2: B})
    create_index(connection, "documents", options(method, kept))
    insert(connection, {3: A, 4: AB})
    assert search(connection, AB) == [(1, 2.0), (4, 2.0), (2, 1.0), (3, 1.0)]
    run(connection, "DELETE FROM documents WHERE id = 1")
    assert problems(connection) == []
    run(connection, "SELECT colbert.reindex('documents')")
    assert search(connection, AB, ", k => 2") == [(4, 2.0), (2, 1.0)]
    assert problems(connection) == []
    assert run(connection, "SELECT method, state FROM colbert.indexes") == [(method, "ready")]


@pytest.mark.parametrize(("method", "kept"), LAYOUTS)
def test_nothing_is_left_after_drop_index(
    connection: psycopg.Connection, method: str, kept: str | None
) -> None:
    create_table(connection)
    insert(connection, {1: AB})
    before = run(connection, CATALOG)
    create_index(connection, "documents", options(method, kept))
    assert run(connection, CATALOG) != before
    run(connection, "SELECT colbert.drop_index('documents')")
    assert run(connection, CATALOG) == before
    insert(connection, {2: B})


@pytest.mark.parametrize(
    ("more", "sqlstate"),
    [
        (", method => 'hnsw', options => '{\"m\": 1000}'", "22023"),
        (", method => 'ivfflat', options => '{\"lists\": 99999}'", "22023"),
        (", 'other'", "54000"),
    ],
)
def test_nothing_is_left_after_an_error_of_pgvector(
    connection: psycopg.Connection, more: str, sqlstate: str
) -> None:
    create_table(connection, more=", other vector(5000)[]")
    before = run(connection, CATALOG)
    error = refusal(connection, f"SELECT colbert.create_index('documents'{more})")
    assert error.sqlstate == sqlstate
    assert run(connection, CATALOG) == before


@pytest.mark.parametrize(
    ("method", "given", "built"),
    [
        ("hnsw", {"m": 5, "ef_construction": 33}, ["ef_construction=33", "m=5"]),
        ("hnsw", {}, None),
        ("ivfflat", {"lists": 3}, ["lists=3"]),
        ("ivfflat", {}, ["lists=1"]),
    ],
)
@pytest.mark.parametrize("again", [False, True], ids=["create", "reindex"])
def test_build_options_reach_the_index_of_pgvector(
    connection: psycopg.Connection,
    method: str,
    given: dict[str, int],
    built: list[str] | None,
    again: bool,
) -> None:
    create_table(connection)
    create_index(connection, "documents", options(method, None, **given))
    if again:
        run(connection, "SELECT colbert.reindex('documents')")
    [[found]] = run(
        connection,
        """SELECT array_agg(o ORDER BY o) FILTER (WHERE o IS NOT NULL)
             FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
             JOIN pg_am AS m ON m.oid = c.relam AND m.amname <> 'btree'
             LEFT JOIN LATERAL unnest(c.reloptions) AS o ON true
            WHERE i.indrelid = 'documents_embeddings_tokens'::regclass
            GROUP BY c.oid""",
    )
    assert found == built


@pytest.mark.parametrize(
    ("given", "message", "advice"),
    [
        ({"lists": 3}, 'unknown option "lists"', "ef_construction, ef_search"),
        ({"m": "5"}, 'option "m" must not be "5"', "a whole number of at least 1"),
        ({"m": 0}, 'option "m" must not be 0', "a whole number"),
        ({"m": 2.5}, 'option "m" must not be 2.5', "a whole number"),
        ({"m": None}, 'option "m" must not be null', "a whole number"),
        ({"normalized": "no"}, 'option "normalized" must not be "no"', "true or false"),
        ({"token_type": "int8"}, 'option "token_type" must not be "int8"', "one of"),
        ({"token_type": ["bit"]}, 'option "token_type" must not be ["bit"]', "one of"),
        ([], "options must be a JSON object", "For example"),
        (None, "options must be a JSON object", "For example"),
    ],
)
def test_options_that_nobody_would_read_are_refused(
    connection: psycopg.Connection, given: Any, message: str, advice: str
) -> None:
    create_table(connection)
    error = refusal(
        connection,
        "SELECT colbert.create_index('documents', method => 'hnsw', options => %s::jsonb)",
        None if given is None else json.dumps(given),
    )
    assert (error.sqlstate, primary(error)) == ("22023", message)
    assert advice in hint(error)


@pytest.mark.parametrize(
    ("before", "more", "chosen"),
    [
        ("", "", "plaid"),
        ("", ", method => NULL", "plaid"),
        ("ALTER TABLE documents ENABLE ROW LEVEL SECURITY;", "", "hnsw"),
        ("", ", options => '{\"normalized\": false}'", "hnsw"),
    ],
)
def test_a_method_is_chosen_where_none_is_named(
    connection: psycopg.Connection, before: str, more: str, chosen: str
) -> None:
    create_table(connection)
    run(connection, f"{before} SELECT colbert.create_index('documents'{more})")
    assert run(connection, "SELECT method FROM colbert.indexes") == [(chosen,)]


def test_an_unknown_method_is_refused(connection: psycopg.Connection) -> None:
    create_table(connection)
    error = refusal(connection, "SELECT colbert.create_index('documents', method => 'btree')")
    assert (error.sqlstate, primary(error)) == ("22023", 'unknown index method "btree"')
    assert "hnsw" in hint(error)


@pytest.mark.parametrize(
    ("arguments", "sqlstate", "message"),
    [
        ("NULL", "22004", "source must not be NULL"),
        ("'documents', NULL", "22004", "embeddings must not be NULL"),
        ("'a_view'", "42809", '"a_view" is not a table that can be indexed'),
        ("'a_matview'", "42809", "is not a table that can be indexed"),
        ("'a_temporary'", "42809", "is not a table that can be indexed"),
        ("'documents', 'nope'", "42703", 'column "nope" of table "documents" does not exist'),
        (
            "'documents', 'content'",
            "42804",
            'column "content" of table "documents" is of type text',
        ),
        ("'documents', 'one'", "42804", "is of type vector(3)"),
        (
            "'documents', key => 'nope'",
            "42703",
            'column "nope" of table "documents" does not exist',
        ),
        ("'documents', key => 'content'", "22023", "does not name a document"),
        ("'documents', key => 'nullable'", "22023", "does not name a document"),
        ("'documents', key => 'half'", "22023", "does not name a document"),
        ("'documents', key => 'later'", "22023", "does not name a document"),
        ("'inherited'", "42809", 'table "inherited" has child tables'),
        ("'keyless'", "22023", 'table "keyless" has no single-column primary key'),
        ("'composite'", "22023", 'table "composite" has no single-column primary key'),
        ("'composite', key => 'a'", "22023", "does not name a document"),
        (
            "'documents', options => '{\"dimensions\": 4}'",
            "22023",
            'column "embeddings" of table "documents" is declared with 3 dimensions, options say 4',
        ),
        (
            "'undeclared'",
            "22023",
            'the dimensions of column "embeddings" of table "undeclared" are',
        ),
    ],
)
def test_what_cannot_be_indexed_is_refused_and_leaves_nothing(
    connection: psycopg.Connection, arguments: str, sqlstate: str, message: str
) -> None:
    create_table(
        connection,
        more=", content text NOT NULL DEFAULT '', one vector(3), nullable text UNIQUE, "
        "half int NOT NULL DEFAULT 1, later int NOT NULL DEFAULT 1 UNIQUE DEFERRABLE",
    )
    for statement in (
        "CREATE UNIQUE INDEX ON documents (half) WHERE half > 5",
        "CREATE VIEW a_view AS SELECT * FROM documents",
        "CREATE MATERIALIZED VIEW a_matview AS SELECT * FROM documents",
        "CREATE TEMP TABLE a_temporary (LIKE documents INCLUDING ALL)",
        "CREATE TABLE inherited (LIKE documents INCLUDING ALL)",
        "CREATE TABLE heir () INHERITS (inherited)",
        "CREATE TABLE keyless (id int, embeddings vector(3)[])",
        "CREATE TABLE composite (a int, b int, embeddings vector(3)[], PRIMARY KEY (a, b))",
        "CREATE TABLE undeclared (id int PRIMARY KEY, embeddings vector[])",
    ):
        run(connection, statement)
    before = run(connection, CATALOG)
    error = refusal(connection, f"SELECT colbert.create_index({arguments})")
    assert error.sqlstate == sqlstate
    assert message in primary(error).replace("pg_temp.", "").replace("public.", "")
    assert hint(error)
    assert run(connection, CATALOG) == before


def test_the_same_column_is_not_indexed_twice(documents: psycopg.Connection) -> None:
    error = refusal(documents, "SELECT colbert.create_index('documents', method => 'exact')")
    assert error.sqlstate == "42710"
    assert "has a late-interaction index already" in primary(error)
    assert "colbert.drop_index" in hint(error)


@pytest.mark.parametrize("function", ["create_index", "reindex", "repair_index"])
def test_an_index_is_changed_in_read_committed_only(database: str, function: str) -> None:
    with psycopg.connect(database) as connection:
        create_table(connection)
        if function != "create_index":
            create_index(connection)
        connection.commit()
        run(connection, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        error = refusal(connection, f"SELECT colbert.{function}('documents')")
    assert error.sqlstate == "25001"
    assert "an index cannot be changed in a REPEATABLE READ transaction" in primary(error)
    assert "READ COMMITTED" in hint(error)


@pytest.mark.parametrize("function", ["drop_index", "reindex", "check_index", "repair_index"])
def test_a_table_without_an_index_is_named(connection: psycopg.Connection, function: str) -> None:
    create_table(connection)
    error = refusal(connection, f"SELECT colbert.{function}('documents')")
    assert error.sqlstate == "42704"
    assert 'table "public.documents" has no late-interaction index' in primary(error)
    error = refusal(connection, f"SELECT colbert.{function}('documents', 'embeddings')")
    assert 'no late-interaction index on column "embeddings"' in primary(error)


@pytest.mark.parametrize(
    ("document", "sqlstate", "message", "advice"),
    [
        ('{"[1,0,0]",NULL}', "22004", "token 2 is NULL", "Leave the token out"),
        ('{"[1,0,0]","[0,0,0]"}', "22023", "token 2 is a zero vector", "Leave the token out"),
        ('{"[1,0,0]","[1,1,0]"}', "22023", "token 2 has length 1.4142, expected 1", "normalized"),
        ('[7:8]={"[1,0,0]","[1,0]"}', "22000", "token 2 has 2 dimensions, expected 3", "model"),
        ('{{"[1,0,0]"},{"[1,0,0]"}}', "2202E", "the array has 2 dimensions", "one-dimensional"),
    ],
)
def test_bad_documents_are_named_when_they_are_there_and_when_they_come(
    connection: psycopg.Connection, document: str, sqlstate: str, message: str, advice: str
) -> None:
    statement = "INSERT INTO documents VALUES ('the key', %s)"
    create_table(connection, key="text", embeddings="vector[]")
    run(connection, "SAVEPOINT empty")
    run(connection, statement, document)
    given = ", options => '{\"dimensions\": 3}'"
    before = run(connection, CATALOG)
    there = refusal(connection, f"SELECT colbert.create_index('documents'{given})")
    assert run(connection, CATALOG) == before

    run(connection, "ROLLBACK TO empty")
    create_index(connection, "documents", given)
    coming = refusal(connection, statement, document)
    for error in (there, coming):
        assert error.sqlstate == sqlstate
        assert primary(error) == f'document "the key": {message}'
        assert advice in hint(error)
    assert run(connection, "SELECT FROM documents") == tokens(connection) == []


@pytest.mark.parametrize(
    ("document", "taken"), [("[3,4,0]", True), ("[0,0,0]", False), ("[1,0]", False)]
)
def test_without_normalisation_vectors_of_any_length_are_taken_but_zero_ones(
    connection: psycopg.Connection, document: str, taken: bool
) -> None:
    create_table(connection, embeddings="vector[]")
    more = ', options => \'{"normalized": false, "dimensions": 3}\''
    create_index(connection, "documents", more)
    statement = "INSERT INTO documents VALUES (1, ARRAY[%s]::vector[])"
    if taken:
        run(connection, statement, document)
        assert search(connection, np.array([[2, 0, 0]], np.float32)) == [(1, 6.0)]
    else:
        refusal(connection, statement, document)


def test_unit_length_is_taken_with_the_tolerance_of_half_precision(
    connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    create_table(connection, embeddings="halfvec(300)[]")
    create_index(connection)
    insert(connection, {1: unit(rng, 200, 300)})
    assert problems(connection) == []


def test_dimensions_of_an_undeclared_column_come_from_the_first_vector(
    connection: psycopg.Connection,
) -> None:
    create_table(connection, embeddings="vector[]")
    insert(connection, {1: A[:0], 2: AB})
    create_index(connection)
    assert run(connection, "SELECT dimensions FROM colbert.indexes") == [(3,)]


@pytest.mark.parametrize(
    ("key_type", "values"),
    [
        ("smallint", [1, 2]),
        ("integer", [1, 2]),
        ("bigint", [1, 2**40]),
        ("uuid", [f"00000000-0000-0000-0000-00000000000{i}" for i in (1, 2)]),
        ("text", ["a'b", 'a"\\{},b']),
        ("varchar", ["", "NULL"]),
        ("varchar(3)", ["abc", "abd"]),
        ("timestamptz", ["2026-01-01 00:00:00.000001+00", "2026-01-02 00:00:00+00"]),
        ("key_domain", ["x", "y"]),
        ("number_domain", [1, 2]),
    ],
)
@pytest.mark.parametrize("method", ["hnsw", "exact"])
def test_every_type_of_key_is_indexed_found_and_kept_in_step(
    connection: psycopg.Connection, key_type: str, values: list[Any], method: str
) -> None:
    run(connection, "CREATE DOMAIN key_domain AS text CHECK (value <> ''); SET timezone = 'UTC'")
    run(connection, "CREATE DOMAIN number_domain AS bigint")
    create_table(connection, key=key_type)
    insert(connection, {values[0]: AB})
    create_index(connection, "documents", f", method => '{method}'")
    insert(connection, {values[1]: B})
    run(connection, "SET timezone = 'Asia/Tokyo'; SET datestyle = 'SQL, DMY'")
    run(connection, "UPDATE documents SET embeddings = embeddings || embeddings")
    assert problems(connection) == []
    run(connection, "RESET timezone; RESET datestyle")

    if isinstance(values[0], int):
        assert keys(search(connection, AB)) == values
    form = "uuid" if key_type == "uuid" else "text"
    found = search(connection, AB, f", key => NULL::{form}")
    stored = run(
        connection, f"SELECT id::{form} FROM documents ORDER BY cardinality(embeddings) DESC"
    )
    assert [row[:1] for row in found] == stored
    assert [row[1] for row in found] == [2.0, 1.0]
    reranked = run(
        connection,
        "SELECT doc_id, score FROM colbert.rerank('documents', %s::text[]::vector[], "
        f"(SELECT array_agg(id::{form}) FROM documents))",
        texts(AB),
    )
    assert reranked == found
    by_key = "SELECT colbert.maxsim(%s::text[]::vector[], id) FROM documents WHERE id::text = %s"
    assert run(connection, by_key, texts(AB), str(found[0][0])) == [(2.0,)]


def test_another_unique_column_can_be_the_key(connection: psycopg.Connection) -> None:
    create_table(connection, key="uuid", more=", number bigint NOT NULL UNIQUE")
    create_index(connection, "documents", ", key => 'number'")
    run(
        connection,
        "INSERT INTO documents VALUES (gen_random_uuid(), '{\"[1,0,0]\"}', 7)",
    )
    assert search(connection, A) == [(7, 1.0)]
    run(connection, "UPDATE documents SET id = gen_random_uuid()")
    assert tokens(connection) == [(7, 1)]


def test_an_unlogged_table_has_an_unlogged_index(connection: psycopg.Connection) -> None:
    run(connection, "CREATE UNLOGGED TABLE documents (id int PRIMARY KEY, embeddings vector(3)[])")
    create_index(connection)
    assert run(
        connection,
        "SELECT relpersistence FROM pg_class WHERE relname = 'documents_embeddings_tokens'",
    ) == [("u",)]


@pytest.mark.parametrize(
    ("dimensions", "element", "kept"),
    [(2000, "vector", "vector"), (4000, "halfvec", "halfvec"), (4000, "vector", "halfvec")],
)
def test_as_many_dimensions_as_pgvector_indexes(
    connection: psycopg.Connection,
    rng: np.random.Generator,
    dimensions: int,
    element: str,
    kept: str,
) -> None:
    create_table(connection, embeddings=f"{element}({dimensions})[]")
    create_index(connection, "documents", options("hnsw", kept))
    documents = unit_documents(rng, 3, 2, dimensions)
    insert(connection, documents)
    assert keys(search(connection, documents[2], ", k => 1")) == [2]
    assert problems(connection) == []


def test_ivfflat_makes_lists_by_the_number_of_tokens_and_says_when_it_is_outgrown(
    connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    create_table(connection)
    documents = unit_documents(rng, 25, 100)
    insert(connection, documents)
    create_index(connection, "documents", ", method => 'ivfflat'")
    lists = (
        "SELECT c.reloptions FROM pg_class AS c "
        "JOIN pg_am AS m ON m.oid = c.relam AND m.amname = 'ivfflat'"
    )
    assert run(connection, lists) == [(["lists=2"],)]
    state = "SELECT state, advice FROM colbert.indexes"
    assert run(connection, state) == [("ready", None)]
    run(
        connection,
        "INSERT INTO documents "
        "SELECT id + 25 * i, embeddings FROM documents, generate_series(1, 3) AS i",
    )
    run(connection, "ANALYZE documents_embeddings_tokens")
    outgrown = "built for fewer tokens with 2 lists, run reindex"
    assert run(connection, state) == [("stale", outgrown)]
    run(connection, "SELECT colbert.reindex('documents')")
    assert run(connection, state) == [("ready", None)]
    assert run(connection, lists) == [(["lists=10"],)]


def test_what_a_dropped_table_left_is_cleared_away_by_the_next_create_index(
    documents: psycopg.Connection,
) -> None:
    create_table(documents, "notes")
    before = run(documents, CATALOG)
    run(documents, "DROP TABLE documents CASCADE")
    [[state, advice]] = run(documents, "SELECT state, advice FROM colbert.indexes")
    assert state == "broken"
    assert advice.startswith("the table was dropped")
    create_index(documents, "notes")
    run(documents, "SELECT colbert.drop_index('notes')")
    left = set(run(documents, CATALOG)) - set(before)
    assert left == set()
    assert run(documents, "SELECT FROM colbert.indexes") == []


def test_search_works_while_writers_wait_for_an_uncommitted_create_index(database: str) -> None:
    with psycopg.connect(database) as builder, psycopg.connect(database) as reader:
        create_table(builder)
        insert(builder, {1: AB})
        create_index(builder, "documents", ", method => 'exact'")
        builder.commit()
        run(reader, "SET lock_timeout = '100ms'")
        run(builder, "SELECT colbert.reindex('documents')")
        assert search(reader, A) == [(1, 1.0)]
        error = refusal(reader, "DELETE FROM documents")
        assert error.sqlstate == "55P03"


@pytest.mark.parametrize("k", [1, 5, 12])
def test_a_column_of_large_documents_is_indexed(
    connection: psycopg.Connection, rng: np.random.Generator, k: int
) -> None:
    create_table(connection)
    documents = unit_documents(rng, 12, 300)
    insert(connection, documents)
    create_index(connection)
    query = unit(rng, 4, 3)
    found = search(connection, query, ", k => %s", k)
    assert keys(found) == keys(ranking(query, documents, k))


def test_an_array_does_not_name_a_document(connection: psycopg.Connection) -> None:
    create_table(connection, key="int[]")
    error = refusal(connection, "SELECT colbert.create_index('documents')")
    assert error.sqlstate == "22023"


def test_what_depends_on_the_rest_of_a_dropped_table_stops_nobody(
    documents: psycopg.Connection,
) -> None:
    run(documents, "CREATE VIEW mine AS SELECT doc_id FROM documents_embeddings_tokens")
    run(documents, "DROP TABLE documents CASCADE")
    create_table(documents, "notes")
    create_index(documents, "notes")
    assert run(documents, "SELECT count(*) FROM mine") == [(4,)]


@pytest.mark.parametrize("method", METHODS)
def test_a_table_may_take_the_place_of_another_again_and_again(
    connection: psycopg.Connection, method: str
) -> None:
    for turn in range(3):
        create_table(connection)
        insert(connection, {turn: AB})
        create_index(connection, "documents", f", method => '{method}'")
        assert keys(search(connection, AB)) == [turn]
        run(connection, f"ALTER TABLE documents RENAME TO documents_{turn}")
    for turn in range(3):
        assert problems(connection, f"documents_{turn}") == []


def test_drop_index_takes_no_table_to_be_meant(documents: psycopg.Connection) -> None:
    error = refusal(documents, "SELECT colbert.drop_index(to_regclass('typo'))")
    assert (error.sqlstate, primary(error)) == ("22004", "source must name a table")


def test_a_role_may_have_any_name(connection: psycopg.Connection) -> None:
    run(
        connection,
        """CREATE ROLE "An app"; CREATE SCHEMA app AUTHORIZATION "An app"; SET ROLE "An app" """,
    )
    create_table(connection, "app.notes")
    insert(connection, {1: AB}, "app.notes")
    run(connection, "SELECT colbert.create_index('app.notes')")
    run(connection, "ANALYZE app.notes_embeddings_documents")
    assert run(connection, "SELECT tokens, state FROM colbert.indexes") == [(2, "ready")]
    connection.rollback()
