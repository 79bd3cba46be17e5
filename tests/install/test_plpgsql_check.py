"""plpgsql_check finds nothing in any PL/pgSQL function; runs on servers that have it."""

import psycopg
import pytest

from tests.citus import CATALOGS
from tests.sql.documents import METHODS

# What a polymorphic function is checked with: a key's type, or pgvector's. One of them fits.
ELEMENT_TYPES = ["bigint", "vector", "halfvec"]

FUNCTIONS = """
    SELECT p.oid::regprocedure::text AS function,
           'anyelement'::regtype = ANY (p.proargtypes) OR 'anyarray'::regtype = ANY (p.proargtypes)
             OR 'anynonarray'::regtype = ANY (p.proargtypes) AS polymorphic
      FROM pg_proc p
      JOIN pg_language l ON l.oid = p.prolang AND l.lanname = 'plpgsql'
     WHERE p.pronamespace = 'colbert'::regnamespace
       AND p.prorettype <> 'trigger'::regtype
     ORDER BY 1
"""

# By position: the name of the last argument is misspelt in some versions.
FINDINGS = """
    SELECT concat_ws(': ', c.lineno, c.level, c.message, c.detail, c.query)
      FROM checks.plpgsql_check_function_tb(
             %(function)s::regprocedure, coalesce(%(table)s::regclass, 0),
             false,  -- stop at the first
             true,   -- other warnings
             false,  -- performance warnings
             true,   -- extra warnings
             false,  -- security warnings: names that format has quoted before
             false,  -- compatibility warnings
             NULL, NULL, %(element)s::regtype) c
     WHERE c.detail IS NULL
        OR c.detail <> 'cannot to determine result of dynamic SQL'
"""

TRIGGERS = """
    SELECT t.tgfoid::regprocedure::text, t.tgrelid::regclass::text
      FROM pg_trigger t
     WHERE NOT t.tgisinternal
"""


@pytest.fixture
def checking(connection: psycopg.Connection) -> psycopg.Connection:
    available = connection.execute(
        "SELECT FROM pg_available_extensions WHERE name = 'plpgsql_check'"
    ).fetchone()
    if available is None:
        pytest.skip("this server has no plpgsql_check")
    connection.execute("CREATE SCHEMA checks")
    connection.execute("CREATE EXTENSION plpgsql_check SCHEMA checks")
    return connection


def findings(
    connection: psycopg.Connection,
    function: str,
    *,
    table: str | None = None,
    element: str = ELEMENT_TYPES[0],
) -> list[str]:
    values = {"function": function, "table": table, "element": element}
    return [finding for (finding,) in connection.execute(FINDINGS, values)]


def test_functions_have_no_findings(checking: psycopg.Connection) -> None:
    # What colbert._plaid_train makes and drops as it goes.
    checking.execute(
        "CREATE TEMPORARY TABLE colbert_sample (id integer, token halfvec);"
        "CREATE TEMPORARY TABLE colbert_twigs (id integer, point halfvec);"
        "CREATE TEMPORARY TABLE colbert_boughs (id integer, point halfvec);"
        "CREATE TEMPORARY TABLE colbert_means (id integer, centroid halfvec);"
        "CREATE TEMPORARY TABLE colbert_centres (id integer, centroid halfvec)"
    )
    checking.execute(CATALOGS)
    functions = checking.execute(FUNCTIONS).fetchall()
    assert functions
    found = {}
    for function, polymorphic in functions:
        types = ELEMENT_TYPES if polymorphic else ELEMENT_TYPES[:1]
        by_type = [findings(checking, function, element=element) for element in types]
        if all(by_type):
            found[function] = min(by_type, key=len)
    assert found == {}


def test_trigger_functions_have_no_findings(checking: psycopg.Connection) -> None:
    for method in METHODS:
        checking.execute(
            f"CREATE TABLE {method}_notes (id bigint PRIMARY KEY, embeddings vector(3)[]);"
            f"SELECT colbert.create_index('{method}_notes', method => '{method}')".encode()
        )
    triggers = checking.execute(TRIGGERS).fetchall()
    assert {table for _, table in triggers} >= {f"{method}_notes" for method in METHODS}
    found = {function: findings(checking, function, table=table) for function, table in triggers}
    assert {function: rows for function, rows in found.items() if rows} == {}
