"""Types, casts, tables and views that somebody planted are never used by a function of colbert_pg.

As in test_planted, but here PostgreSQL does have what the names mean, and the plants stand before
it: in a schema of the caller's search_path, and in pg_temp, which comes before all others. What is
planted calls a function that raises.
"""

from collections.abc import Callable, Iterator
from uuid import UUID

import numpy as np
import psycopg
import pytest
from pytest_postgresql.executors import NoopExecutor

from tests.servers import Server, as_role
from tests.sql.documents import METHODS, Row, primary, refusal, run, texts, unit_documents

DOMAINS = [
    "bool",
    "bit",
    "float4",
    "float8",
    "int2",
    "int4",
    "int8",
    "jsonb",
    "name",
    "numeric",
    "oid",
    "oidvector",
    "regclass",
    "regconfig",
    "regtype",
    "text",
    "tsquery",
    "tsvector",
    "uuid",
    "varchar",
]
PGVECTOR = ["vector", "halfvec", "sparsevec"]
"""Types that ours name, planted as domains whose check raises."""
CAST = [
    "vector",
    "vector[]",
    "halfvec",
    "halfvec[]",
    "text",
    "text[]",
    "int8",
    "float8",
    "jsonb",
    "regclass",
]
"""Types that a planted one is cast to and from."""
RELATIONS = """
    SELECT c.oid::regclass::text, c.relname::text,
           (SELECT string_agg(format('%I', a.attname), ', ') FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.atttypid <> 'anyarray'::regtype)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'v')
       AND (n.nspname = 'colbert'
            OR n.nspname = 'pg_catalog'
               AND EXISTS (SELECT FROM pg_proc p
                            WHERE p.pronamespace = 'colbert'::regnamespace
                              AND pg_get_functiondef(p.oid) ~ ('\\m' || c.relname || '\\M')))
"""
OWN = ["documents", "colbert_queries"]
OWN += [f"documents_embeddings_{part}" for part in ("tokens", "centroids", "postings", "documents")]
"""Names of the source and of what is derived from it."""

QUERY = "ARRAY['[1,0,0]','[0,1,0]']::public.vector[]"
ARGUMENTS = f"'victim.documents', {QUERY}"
FILTER = "filter => 'id::pg_catalog.text <> ''7'' AND (params ->> 0) = ''x''', params => '[\"x\"]'"
KEYS: dict[str, Callable[[int], str]] = {
    "pg_catalog.int4": str,
    "pg_catalog.text": str,
    "pg_catalog.uuid": lambda number: str(UUID(int=number)),
}
"""Types of keys, each with how a number is written as one."""
CALLS = [
    f"SELECT * FROM colbert.search({ARGUMENTS})",
    f"SELECT * FROM colbert.search({ARGUMENTS}, k => 3, {FILTER})",
    f"SELECT * FROM colbert.search({ARGUMENTS}, exact => true, {FILTER})",
    f"SELECT * FROM colbert.rerank({ARGUMENTS}, ARRAY[3, 1, 2]::pg_catalog.int4[])",
    f"SELECT * FROM colbert.hybrid_search({ARGUMENTS}, 'one', {FILTER})",
    f"SELECT * FROM colbert.hybrid_search({ARGUMENTS}, 'one', k => 3)",
    f"SELECT * FROM colbert.search_parents({ARGUMENTS}, 'parent', k => 3)",
]
"""What names no type, for the keys are integers."""
TYPE, IDS = "NULL::{form}", "{form}[]"
ONE = "'{numbers[1]}'::{key}"
TYPED_CALLS = [
    f"SELECT * FROM colbert.search({ARGUMENTS}, key => {TYPE}, k => 3)",
    f"SELECT * FROM colbert.search({ARGUMENTS}, key => {TYPE}, exact => true, {FILTER})",
    f"SELECT * FROM colbert.rerank({ARGUMENTS}, "
    f"ARRAY['{{numbers[3]}}', {ONE}, '{{numbers[2]}}']::{IDS})",
    f"SELECT * FROM colbert.hybrid_search({ARGUMENTS}, 'one', key => {TYPE}, {FILTER})",
    f"SELECT * FROM colbert.hybrid_search({ARGUMENTS}, 'one', key => {TYPE}, k => 3)",
    f"SELECT * FROM colbert.search_parents({ARGUMENTS}, 'parent', key => {TYPE}, {FILTER})",
    f"SELECT * FROM colbert.search_parents({ARGUMENTS}, 'parent', key => {TYPE}, k => 3)",
    f"SELECT colbert.maxsim({QUERY}, {QUERY})",
    f"SELECT colbert.maxsim({QUERY}, {ONE}, 'victim.documents')",
    f"SELECT * FROM colbert.maxsim_matches({QUERY}, {ONE}, 'victim.documents')",
    f"SELECT stage, documents FROM colbert.explain_search({ARGUMENTS}, key => {TYPE}, {FILTER})",
    "SELECT queries_measured FROM colbert.measure_recall('victim.documents', sample => 3, k => 3)",
    f"SELECT queries_measured FROM colbert.measure_recall('victim.documents', {FILTER})",
    "SELECT count(*) > 0 FROM colbert.tune('victim.documents', sample => 3, k => 3)",
    "SELECT problem, doc_id FROM colbert.check_index('victim.documents')",
    "SELECT colbert.repair_index('victim.documents')",
    "SELECT colbert.reindex('victim.documents')",
    "SELECT problem, doc_id FROM colbert.check_index('victim.documents')",
    f"SELECT colbert.upsert('victim.documents', {ONE}, {QUERY})",
    f"DELETE FROM victim.documents WHERE id = {ONE}",
    f"SELECT * FROM colbert.search({ARGUMENTS}, key => {TYPE}, k => 1)",
]
# What is measured in time differs from call to call, and is not compared.


def plants(relations: list[Row], schema: str) -> list[str]:
    """Statements that plant what raises in a schema."""
    raising = "WHERE planted.refuse(1)"
    script = [
        f"CREATE VIEW {schema}.{name} AS SELECT {columns} FROM {real} {raising}"
        for real, name, columns in relations
    ]
    script += [f"CREATE VIEW {schema}.{name} AS SELECT 1 AS id {raising}" for name in OWN]
    for names, home in ((DOMAINS, "pg_catalog"), (PGVECTOR, "public")):
        script += [
            f"CREATE DOMAIN {schema}.{name} AS {home}.{name} CHECK (planted.refuse(VALUE))"
            for name in names
        ]
    return script


def plant(connection: psycopg.Connection) -> list[str]:
    """Fill schema planted; returns what plants the same in pg_temp."""
    script = [
        "CREATE SCHEMA planted",
        "GRANT USAGE ON SCHEMA planted TO PUBLIC",
        "CREATE FUNCTION planted.refuse(anyelement) RETURNS bool LANGUAGE plpgsql "
        "AS $$ BEGIN RAISE EXCEPTION 'planted'; END $$",
        "CREATE TYPE planted.disguise AS (hidden int)",
    ]
    raising = "LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted'; END $$"
    for number, kind in enumerate(CAST):
        to, of = f"planted.to_{number}(planted.disguise)", f"planted.of_{number}({kind})"
        script += [
            f"CREATE FUNCTION {to} RETURNS {kind} {raising}",
            f"CREATE FUNCTION {of} RETURNS planted.disguise {raising}",
            f"CREATE CAST (planted.disguise AS {kind}) WITH FUNCTION {to} AS IMPLICIT",
            f"CREATE CAST ({kind} AS planted.disguise) WITH FUNCTION {of} AS IMPLICIT",
        ]
    # What the casts lead to
    script += [
        f"CREATE FUNCTION planted.{name}(planted.disguise) RETURNS float8 {raising}"
        for name in ("unnest", "l2_norm", "l2_normalize", "vector_dims", "avg", "cardinality")
    ]
    for operator in ("<#>", "=", "||", "*", "->>"):
        script.append(
            f"CREATE OPERATOR planted.{operator} (LEFTARG = planted.disguise, "
            "RIGHTARG = planted.disguise, FUNCTION = planted.both)"
        )
    both = "CREATE FUNCTION planted.both(planted.disguise, planted.disguise) RETURNS bool "
    script.insert(4, both + raising)
    relations = run(connection, RELATIONS)
    run(connection, "; ".join(script + plants(relations, "planted")))
    return plants(relations, "pg_temp")


Planted = tuple[str, str, list[str]]


@pytest.fixture(scope="module")
def planted(
    server: Server, installed: NoopExecutor, new_role: Callable[[], str]
) -> Iterator[Planted]:
    """A database for a role with a schema of its own, a second role, and plants for pg_temp."""
    role, other, name = new_role(), new_role(), "colbert_pg_test_planted_types"
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        run(connection, f"CREATE DATABASE {name} TEMPLATE {installed.template_dbname}")
    conninfo = server.conninfo(name)
    with psycopg.connect(conninfo) as connection:
        temporary = plant(connection)
        run(connection, f"CREATE SCHEMA victim AUTHORIZATION {role}; GRANT {other} TO {role}")
    yield as_role(conninfo, role), other, temporary
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        run(connection, f"DROP DATABASE {name}")


def fill(session: psycopg.Connection, key: str = "pg_catalog.int4") -> None:
    run(
        session,
        f"CREATE TABLE victim.documents (id {key} PRIMARY KEY, embeddings public.vector(3)[], "
        f"content pg_catalog.text DEFAULT 'one of many', parent {key})",
    )
    insert = (
        f"INSERT INTO victim.documents (id, embeddings, parent) "
        f"VALUES (%s::{key}, %s::pg_catalog.text[]::public.vector[], %s::{key})"
    )
    written = KEYS[key]
    documents = unit_documents(np.random.default_rng(20), 150)
    with session.cursor() as cursor:
        cursor.executemany(
            insert.encode(),
            [(written(n), texts(rows), written(n // 3)) for n, rows in documents.items()],
        )


def answers(session: psycopg.Connection, method: str, other: str, key: str) -> list[list[Row]]:
    """What everything that a caller can do answers."""
    fill(session, key)
    run(session, "SELECT pg_catalog.setseed(0.5)")
    run(session, f"SELECT colbert.create_index('victim.documents', method => '{method}')")
    # The triggers, for a role that may only insert
    run(session, f"GRANT USAGE ON SCHEMA victim TO {other}")
    run(session, f"GRANT INSERT ON victim.documents TO {other}")
    run(session, f"SET LOCAL ROLE {other}")
    run(session, f"INSERT INTO victim.documents VALUES ('{KEYS[key](1000)}', {QUERY})")
    run(session, "RESET ROLE")
    numbers = {number: KEYS[key](number) for number in (1, 2, 3)}
    form = "pg_catalog.text" if key == "pg_catalog.int4" else key
    calls = [call.format(key=key, form=form, numbers=numbers) for call in TYPED_CALLS]
    if key == "pg_catalog.int4":
        calls = CALLS + calls
    return [run(session, call) for call in calls if method != "exact" or "tune" not in call]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("method", METHODS)
def test_no_planted_type_cast_or_table_changes_an_answer(
    planted: Planted, method: str, key: str
) -> None:
    conninfo, other, temporary = planted
    with psycopg.connect(conninfo) as session:
        run(session, "SET search_path = public")
        expected = answers(session, method, other, key)
        session.rollback()
    with psycopg.connect(conninfo) as session:
        run(session, "; ".join(temporary))
        run(session, "SET search_path = planted, pg_catalog, public")
        assert answers(session, method, other, key) == expected
        session.rollback()
    found = [(str(doc_id), score) for doc_id, score in expected[-1]]
    assert found == [(KEYS[key](1000), pytest.approx(2))]


def test_the_planted_types_do_what_they_are_there_for(planted: Planted) -> None:
    """The test above is worth what the plants would catch."""
    conninfo, _, temporary = planted
    with psycopg.connect(conninfo) as session:
        run(session, "SET search_path = planted, public")
        cast = f"SELECT colbert.maxsim(ROW(1)::planted.disguise, {QUERY})"
        assert primary(refusal(session, cast)) == "planted"
        assert primary(refusal(session, "SELECT '[1]'::vector")) == "planted"
        run(session, "; ".join(temporary))
        for statement in (
            "SELECT 'a'::text",
            "SELECT * FROM pg_class",
            "SELECT * FROM documents",
            "SELECT ARRAY['1']::int8[]",
        ):
            assert primary(refusal(session, statement)) == "planted"
        session.rollback()


@pytest.mark.parametrize("name", ["colbert_sample", "colbert_twigs", "colbert_means"])
@pytest.mark.parametrize("kind", ["TABLE", "VIEW"])
def test_a_temporary_table_in_the_way_of_training_is_named_and_nothing_is_half_done(
    planted: Planted, name: str, kind: str
) -> None:
    with psycopg.connect(planted[0]) as session:
        run(session, "SET search_path = public")
        fill(session)
        in_the_way = f"CREATE TEMPORARY {kind} {name} AS SELECT 1 AS mine"
        create = "SELECT colbert.create_index('victim.documents', method => 'plaid')"
        everything = "SELECT oid FROM pg_class ORDER BY oid"
        search = f"SELECT * FROM colbert.search({ARGUMENTS})"

        run(session, in_the_way)
        before = run(session, everything)
        error = refusal(session, create)
        assert (error.sqlstate, primary(error)) == ("42P07", f'relation "{name}" already exists')
        assert run(session, everything) == before
        run(session, f"DROP {kind} {name}")

        run(session, create)
        run(session, in_the_way)
        found = run(session, search)
        assert refusal(session, "SELECT colbert.reindex('victim.documents')").sqlstate == "42P07"
        assert run(session, search) == found
        assert run(session, "SELECT * FROM colbert.check_index('victim.documents')") == []
        assert run(session, f"SELECT mine FROM {name}") == [(1,)]
        session.rollback()
