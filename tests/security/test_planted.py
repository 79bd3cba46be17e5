"""Objects that somebody planted on a caller's path are never run by a function of colbert_pg.

Another role may create objects in a schema of the caller's search_path. Everything there that could be
taken for something of PostgreSQL's or pgvector's raises when it is called, and calling it is the attack.
"""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.servers import as_role
from tests.sql.documents import AB, METHODS, B, C, refusal, run, texts

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
       AND EXISTS (SELECT FROM pg_proc c
                    WHERE c.pronamespace = 'colbert'::regnamespace
                      AND pg_get_functiondef(c.oid) ~ ('\\m' || p.proname || '\\s*\\('))
"""

# Operators of every name that ours use, between any two of these types.
OPERATORS = ["=", "<>", "<", ">", "<=", ">=", "||", "+", "-", "*", "/", "%", "<#>", "<=>", "<~>"]
TYPES = ["int2", "int4", "int8", "numeric", "float4", "float8", "text", "varchar", "name", "uuid"]

CALLS = [
    "SELECT * FROM colbert.search('victim.documents', {q}, key => NULL::{type})",
    "SELECT * FROM colbert.search('victim.documents', {q}, key => NULL::{type}, k => 1)",
    "SELECT * FROM colbert.search('victim.documents', {q}, NULL::{type}, filter => {f})",
    "SELECT * FROM colbert.search('victim.documents', {q}, NULL::{type}, 1, candidates => 1, "
    "filter => {f}, params => '[1]')",
    "SELECT * FROM colbert.search('victim.documents', {q}, key => NULL::{type}, exact => true)",
    "SELECT * FROM colbert.rerank('victim.documents', {q}, ARRAY[{key}]::{type}[])",
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
    """Fill schema planted, but with nothing that an everyday search_path would prefer."""
    run(
        connection,
        "CREATE SCHEMA planted; GRANT USAGE ON SCHEMA planted TO PUBLIC; SET search_path = planted",
    )
    body = "LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted'; END $$"
    for name, arguments in run(connection, FUNCTIONS):
        run(connection, f'CREATE FUNCTION planted."{name}"({arguments}) RETURNS int {body}')
    vectors = [f"public.{kind}" for kind in ("vector", "halfvec")]
    pairs = [(left, right) for left in TYPES for right in TYPES]
    pairs += [(kind, kind) for kind in vectors]
    pairs += [(f"{kind}[]", f"{kind}[]") for kind in [*TYPES, *vectors]]
    for number, (left, right) in enumerate(pairs):
        for result in ("bool", "float8"):
            run(connection, f"CREATE FUNCTION f{number}({left}, {right}) RETURNS {result} {body}")
            names = OPERATORS[:6] if result == "bool" else OPERATORS[6:]
            for operator in names:
                run(
                    connection,
                    f"CREATE OPERATOR {operator} (LEFTARG = {left}, RIGHTARG = {right}, "
                    f"FUNCTION = f{number})",
                )
            if result == "bool":
                run(connection, f"ALTER FUNCTION f{number}({left}, {right}) RENAME TO g{number}")
    run(connection, "RESET search_path")


@pytest.fixture
def victim(connection: psycopg.Connection, new_role: Callable[[], str]) -> Iterator[str]:
    """A role with a schema of its own, in a database where the other schema is planted."""
    plant(connection)
    role = new_role()
    run(connection, f"CREATE SCHEMA victim AUTHORIZATION {role}")
    connection.commit()
    yield role
    run(connection, "DROP SCHEMA victim CASCADE")
    connection.commit()


@pytest.mark.parametrize("method", [*METHODS, "bit"])
@pytest.mark.parametrize("key_type", ["int4", "varchar", "text", "uuid"])
def test_nothing_planted_on_the_path_of_a_caller_is_run(
    database: str, victim: str, method: str, key_type: str
) -> None:
    keys = {
        "uuid": [f"00000000-0000-0000-0000-{number:012}" for number in range(1, 7)],
    }.get(key_type, [str(number) for number in range(1, 7)])
    options = '{"token_type": "bit"}' if method == "bit" else "{}"
    with psycopg.connect(as_role(database, victim), autocommit=True) as session:
        run(session, "SET search_path = planted, public")
        run(
            session,
            f"CREATE TABLE victim.documents (id {key_type} PRIMARY KEY, embeddings vector(3)[])",
        )
        create = "SELECT colbert.create_index('victim.documents', method => '{}', options => '{}')"
        run(session, create.format("hnsw" if method == "bit" else method, options))
        for key, document in zip(keys, [AB, B, C] * 2, strict=True):
            run(
                session,
                "INSERT INTO victim.documents VALUES (%s, %s::text[]::vector[])",
                key,
                texts(document),
            )
        query = """'{"[1,0,0]","[0,1,0]"}'::vector[]"""
        for call in CALLS:
            statement = call.format(
                q=query, type=key_type, key=f"'{keys[0]}'", f="'embeddings IS NOT NULL'"
            )
            if "reindex" in call:
                run(session, "INSERT INTO victim.documents VALUES (%s, NULL)", keys[0][:-1] + "9")
            run(session, statement)


def test_the_plants_do_what_they_are_there_for(database: str, victim: str) -> None:
    """The test above is worth what the plants would catch."""
    with psycopg.connect(as_role(database, victim), autocommit=True) as session:
        run(session, "SET search_path = planted, public")
        for statement in (
            "SELECT 'a'::varchar = 'a'::varchar",
            "SELECT 1 - 1::float8",
            "SELECT ARRAY['[1]'::vector] || ARRAY['[1]'::vector]",
            "SELECT planted.format('a')",
        ):
            assert "planted" in str(refusal(session, statement))
