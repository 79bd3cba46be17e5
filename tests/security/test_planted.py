"""Objects that somebody planted on a caller's path are never run by a function of colbert_pg.

Another role may create objects in a schema of the caller's search_path. Everything there that
could be taken for something of PostgreSQL's or pgvector's raises when it is called: calling it is
the attack. It works where PostgreSQL has no operator or function of just the types at hand.
"""

import re
from collections.abc import Callable, Iterator

import psycopg
import pytest
from pytest_postgresql.executors import NoopExecutor

from tests.servers import Server, as_role
from tests.sql.documents import AB, METHODS, refusal, run, texts

# Functions of pg_catalog that any of ours names, as long as a function like it can be made.
FUNCTIONS = """
    SELECT DISTINCT p.proname::text, pg_get_function_identity_arguments(p.oid)
      FROM pg_proc p
     WHERE p.pronamespace = 'pg_catalog'::regnamespace
       AND p.prorettype NOT IN ('internal'::regtype, 'trigger'::regtype)
       AND p.provariadic = 0
       AND NOT p.proargtypes::oid[] && ARRAY['internal'::regtype, 'cstring'::regtype,
                                             '"any"'::regtype]::oid[]
       AND p.proargmodes IS NULL
       AND pg_get_function_identity_arguments(p.oid) !~ 'ORDER BY'
       AND EXISTS (SELECT FROM pg_proc c
                    WHERE c.pronamespace = 'colbert'::regnamespace
                      AND pg_get_functiondef(c.oid) ~ ('\\m' || p.proname || '\\s*\\('))
"""

# Operators of every name that ours use, between any two of these types.
OPERATORS = {
    "bool": ["=", "<>", "<", ">", "<=", ">="],
    "float8": ["||", "+", "-", "*", "/", "%", "<#>", "<=>", "<~>"],
}
TYPES = ["int4", "int8", "numeric", "float8", "text", "varchar"]

CALLS = [
    "SELECT * FROM colbert.search('victim.documents', {q}, {form})",
    "SELECT * FROM colbert.search('victim.documents', {q}, {form}, k => 1)",
    "SELECT * FROM colbert.search('victim.documents', {q}, {form}, filter => {f})",
    "SELECT * FROM colbert.search('victim.documents', {q}, {form}, "
    "candidates => 1, filter => {f}, params => '[1]')",
    "SELECT * FROM colbert.search('victim.documents', {q}, {form}, exact => true)",
    "SELECT * FROM colbert.search('victim.documents', {long}, {form}, filter => {f})",
    "SELECT * FROM colbert.explain_search('victim.documents', {q}, {form}, filter => {f})",
    "SELECT * FROM colbert.measure_recall('victim.documents', sample => 2, filter => {f})",
    "SELECT * FROM colbert.hybrid_search('victim.documents', {q}, 'one', {form}, filter => {f})",
    "SELECT * FROM colbert.search_parents('victim.documents', {q}, 'id', {form}, "
    "k => 1, filter => {f})",
    "SELECT * FROM colbert.search_parents('victim.documents', {q}, 'id', {form}, "
    "exact => true, filter => {f})",
    "SELECT * FROM colbert.rerank('victim.documents', {q}, ARRAY[{key}]::{ids}[])",
    "SELECT colbert.maxsim({q}, {key}::{type}, 'victim.documents')",
    "SELECT * FROM colbert.maxsim_matches({q}, {key}::{type}, 'victim.documents')",
    "SELECT colbert.maxsim({q}, {q})",
    "SELECT * FROM colbert.maxsim_matches({q}, {q})",
    "SELECT * FROM colbert.check_index('victim.documents')",
    "SELECT colbert.repair_index('victim.documents')",
    "SELECT colbert.reindex('victim.documents')",
    "SELECT * FROM colbert.indexes",
    "SELECT colbert.upsert('victim.documents', {key}::{type}, {q})",
    "UPDATE victim.documents SET embeddings = embeddings[1:1]",
    "DELETE FROM victim.documents",
    "SELECT colbert.drop_index('victim.documents')",
]


def plant(connection: psycopg.Connection) -> None:
    """Fill schema planted with what raises, under the names that ours name."""
    body = "LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted'; END $$"
    script = [
        "CREATE SCHEMA planted; GRANT USAGE ON SCHEMA planted TO PUBLIC; SET search_path = planted"
    ]
    for name, arguments in run(connection, FUNCTIONS):
        # A polymorphic one is beaten by one of just these types.
        kinds = TYPES if "any" in arguments else [""]
        for kind in kinds:
            arrays = re.sub(r"\bany(compatible)?array\b", f"{kind}[]", arguments)
            exact = re.sub(r"\bany\w+\b", kind, arrays)
            script.append(
                f'CREATE OR REPLACE FUNCTION planted."{name}"({exact}) RETURNS int {body}'
            )
    vectors = ["public.vector", "public.halfvec"]
    pairs = [(left, right) for left in TYPES for right in TYPES]
    pairs += [(kind, kind) for kind in vectors]
    pairs += [(f"{kind}[]", f"{kind}[]") for kind in [*TYPES, *vectors]]
    for number, (left, right) in enumerate(pairs):
        for result, operators in OPERATORS.items():
            function = f"planted_{result}_{number}"
            script.append(f"CREATE FUNCTION {function}({left}, {right}) RETURNS {result} {body}")
            script += [
                f"CREATE OPERATOR {operator} "
                f"(LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = {function})"
                for operator in operators
            ]
    run(connection, "; ".join(script) + "; RESET search_path")


@pytest.fixture(scope="module")
def planted(server: Server, installed: NoopExecutor, new_role: Callable[[], str]) -> Iterator[str]:
    """A database with schema planted, and a role with a schema of its own."""
    role, name = new_role(), "colbert_pg_test_planted"
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        run(connection, f"CREATE DATABASE {name} TEMPLATE {installed.template_dbname}")
    conninfo = server.conninfo(name)
    with psycopg.connect(conninfo) as connection:
        plant(connection)
        run(connection, f"CREATE SCHEMA victim AUTHORIZATION {role}")
    yield as_role(conninfo, role)
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        run(connection, f"DROP DATABASE {name}")


@pytest.mark.parametrize("method", [*METHODS, "bit"])
@pytest.mark.parametrize("key_type", ["int4", "varchar", "text"])
def test_nothing_planted_on_the_path_of_a_caller_is_run(
    planted: str, method: str, key_type: str
) -> None:
    options = '{"token_type": "bit"}' if method == "bit" else "{}"
    with psycopg.connect(planted) as session:  # rolled back by an error, and at the end
        run(session, "SET search_path = planted, public")
        run(
            session,
            f"CREATE TABLE victim.documents (id {key_type} PRIMARY KEY, embeddings vector(3)[], "
            "content text DEFAULT 'one of many')",
        )
        create = "SELECT colbert.create_index('victim.documents', method => '{}', options => '{}')"
        run(session, create.format("hnsw" if method == "bit" else method, options))
        # More than are scored whole
        run(
            session,
            "INSERT INTO victim.documents "
            f"SELECT pg_catalog.int4out(i)::pg_catalog.text::{key_type}, %s::text[]::vector[] "
            "FROM pg_catalog.generate_series(1, 150) AS i",
            texts(AB),
        )
        forms = {"key => NULL::text": "text"}
        if key_type == "int4":
            forms = {"embeddings => 'embeddings'": "int4"} | forms
        for call in CALLS:
            statements = [
                call.format(
                    q="""'{"[1,0,0]","[0,1,0]"}'::vector[]""",
                    long="ARRAY[" + ",".join(["'[0.6,0.8,0]'"] * 101) + "]::vector[]",
                    type=key_type,
                    form=form,
                    ids=ids,
                    key="'1'",
                    f="'embeddings IS NOT NULL'",
                )
                for form, ids in forms.items()
            ]
            for statement in dict.fromkeys(statements):
                run(session, statement)
        session.rollback()


def test_nothing_planted_is_run_where_a_large_table_is_searched_for_words(planted: str) -> None:
    with psycopg.connect(planted) as session:
        run(
            session,
            "CREATE TABLE victim.documents (id int PRIMARY KEY, embeddings vector(3)[],"
            " content text, words tsvector);"
            """INSERT INTO victim.documents
               SELECT i, '{"[1,0,0]"}', t, to_tsvector('simple', t)
                 FROM generate_series(1, 2000) AS i,
                      LATERAL (SELECT format('w%s w%s w%s', i % 2, i % 3, i % 30)) AS t (t);"""
            "CREATE INDEX ON victim.documents USING gin (words); ANALYZE victim.documents;"
            "SELECT colbert.create_index('victim.documents', method => 'exact')",
        )
        run(session, "SET search_path = planted, public")
        for more in (
            "",
            ", key => NULL::text",
            ", filter => 'embeddings IS NOT NULL'",
            ", filter => 'content IS NOT NULL', params => '[1]'",
        ):
            statement = (
                """SELECT * FROM colbert.hybrid_search('victim.documents', '{"[1,0,0]"}', """
                f"'w0 w1 w2 w29', content => 'words', language => 'pg_catalog.simple'{more})"
            )
            assert run(session, statement)
        ((estimated,),) = run(
            session,
            "SELECT pg_catalog.count(*) FROM colbert._shortlist(colbert._find_index("
            "'victim.documents'), 'w0 w1 w2 w29', NULL::int, 'words', 'pg_catalog.simple', NULL,"
            " NULL, 'planted, public', 10)",
        )
        assert estimated == 10
        session.rollback()


def test_the_plants_do_what_they_are_there_for(planted: str) -> None:
    """The test above is worth what the plants would catch."""
    with psycopg.connect(planted, autocommit=True) as session:
        run(session, "SET search_path = planted, public")
        for statement in (
            "SELECT 'a'::varchar = 'a'::varchar",
            "SELECT 1 - 1::float8",
            "SELECT ARRAY['[1]'::vector] || ARRAY['[1]'::vector]",
            "SELECT planted.format('a')",
        ):
            assert "planted" in str(refusal(session, statement))
