"""An index kept apart by tenant tells a reader nothing of tenants of whom they see no row."""

from collections.abc import Callable
from typing import Any

import numpy as np
import psycopg
import pytest

from tests.servers import as_role
from tests.sql.documents import (
    Matrix,
    clustered_documents,
    derived_tables,
    fewer,
    keys,
    refusal,
    run,
    texts,
)

PLAIN = """
    CREATE TABLE documents (tenant_id text NOT NULL, id int NOT NULL, embeddings vector(16)[],
                            content text DEFAULT 'one of many', PRIMARY KEY (tenant_id, id))
"""
PARTITIONED = f"""
    {PLAIN} PARTITION BY HASH (tenant_id);
    CREATE TABLE even PARTITION OF documents FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE odd PARTITION OF documents FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    ALTER TABLE even ENABLE ROW LEVEL SECURITY;
    ALTER TABLE odd ENABLE ROW LEVEL SECURITY;
"""
OPTION = """method => 'plaid', options => '{"tenant": "tenant_id"}'"""
CALLS = [
    "SELECT * FROM colbert.search('documents', %(q)s::text[]::vector[], k => 1000)",
    "SELECT * FROM colbert.search('documents', %(q)s::text[]::vector[], k => 3)",
    "SELECT * FROM colbert.search('documents', %(q)s::text[]::vector[], k => 3, exact => true)",
    "SELECT * FROM colbert.search('documents', %(q)s::text[]::vector[], k => 3, candidates => 30)",
    "SELECT * FROM colbert.search('documents', %(q)s::text[]::vector[], k => 1000, "
    "filter => 'tenant_id = current_user AND 1 / (id %% 2) = 1')",
    "SELECT * FROM colbert.search('documents', %(q)s::text[]::vector[], k => 5, "
    "filter => 'tenant_id IN (''a'', ''b'') OR true')",
    "SELECT * FROM colbert.hybrid_search('documents', %(q)s::text[]::vector[], 'one two', "
    "k => 1000)",
    "SELECT stage, documents, detail, rows_read FROM colbert.explain_search("
    "'documents', %(q)s::text[]::vector[])",
    "SELECT * FROM colbert.rerank('documents', %(q)s::text[]::vector[], "
    "(SELECT array_agg(i) FROM generate_series(0, 900) AS i))",
    "SELECT i, colbert.maxsim(%(q)s::text[]::vector[], i, 'documents')"
    " FROM generate_series(0, 900, 50) AS i",
    "SELECT m.* FROM generate_series(0, 900, 50) AS i, "
    "colbert.maxsim_matches(%(q)s::text[]::vector[], i, 'documents') AS m",
    "SELECT tokens, state, advice FROM colbert.indexes",
]

DRAWN = [CALLS[1], CALLS[3], CALLS[5], CALLS[7]]
"""What depends on the centroids, which are drawn at random."""


@pytest.fixture
def tenants(new_role: Callable[[], str]) -> list[str]:
    """The third has no documents."""
    return [new_role(), new_role(), new_role()]


def make(connection: psycopg.Connection, tenants: list[str], table: str = PLAIN) -> None:
    run(
        connection,
        f"{table}; ALTER TABLE documents ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON documents USING (tenant_id = current_user)",
    )
    for tenant in tenants:
        run(connection, f"GRANT SELECT, INSERT, UPDATE, DELETE ON documents TO {tenant}")
    fewer(connection)
    run(connection, f"SELECT colbert.create_index('documents', {OPTION})")


def fill(connection: psycopg.Connection, tenant: str, documents: dict[int, Matrix]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO documents VALUES (%s, %s, %s::text[]::vector[])",
            [(tenant, key, texts(document)) for key, document in documents.items()],
        )


def built(
    connection: psycopg.Connection, rng: np.random.Generator, tenants: list[str], *whose: str
) -> list[Matrix]:
    """The same documents of some of the tenants, each in a part of the index; returns queries."""
    make(connection, tenants)
    documents, queries = clustered_documents(rng, 40, 16)
    for tenant in whose:
        fill(connection, tenant, documents)
    run(connection, "SELECT colbert.reindex('documents')")
    return queries


def answers(database: str, tenant: str, query: Matrix) -> list[list[Any]]:
    """All that the calls tell a tenant."""
    with psycopg.connect(as_role(database, tenant)) as session:
        return [session.execute(call.encode(), {"q": texts(query)}).fetchall() for call in CALLS]


def shown(database: str, tenant: str) -> dict[str, list[tuple[object, ...]]]:
    """What a tenant reads of the derived tables, by their own names; nodes are there in builds."""
    with psycopg.connect(as_role(database, tenant)) as session:
        return {
            table: run(session, f"SELECT t::text FROM {table} AS t ORDER BY 1")
            for table in sorted(derived_tables(session))
            if not table.endswith("_nodes")
        }


@pytest.mark.parametrize("table", [PLAIN, PARTITIONED], ids=["plain", "partitioned"])
def test_a_tenant_is_told_the_same_with_and_without_others(
    own_connection: psycopg.Connection,
    database: str,
    rng: np.random.Generator,
    tenants: list[str],
    table: str,
) -> None:
    """Of others there are the same keys, the best documents there are, and more of them."""
    first, second, nobody = tenants
    make(own_connection, tenants, table)
    documents, queries = clustered_documents(rng, 40, 16)
    fill(own_connection, first, {2 * key + 1: d for key, d in documents.items()})
    run(own_connection, "SELECT colbert.reindex('documents')")
    own_connection.commit()
    alone, read = answers(database, first, queries[0]), shown(database, first)
    assert all(read.values())
    assert len(answers(database, second, queries[0])[0]) == 0
    assert not any(shown(database, second).values())

    hidden = {2 * key + 1: np.concatenate([queries[0], d]) for key, d in documents.items()}
    hidden |= {2 * key: d for key, d in hidden.items()}
    fill(own_connection, second, hidden)
    run(own_connection, "ANALYZE documents")
    own_connection.commit()
    assert answers(database, first, queries[0]) == alone
    assert shown(database, first) == read

    # Parts of both: what is drawn at random is drawn anew, and what is exact stays
    run(own_connection, "SELECT colbert.reindex('documents')")
    own_connection.commit()
    for call, then, now in zip(CALLS, alone, answers(database, first, queries[0]), strict=True):
        assert now == then or call in DRAWN
    ours, theirs = shown(database, first), shown(database, second)
    for name in ours:
        assert ours[name]
        assert theirs[name]
        assert not set(ours[name]) & set(theirs[name])
    assert not any(shown(database, nobody).values())
    assert [rows for rows in answers(database, nobody, queries[0])[:6] if rows] == []


def test_others_cannot_be_written_and_statistics_are_not_shown(
    own_connection: psycopg.Connection, database: str, rng: np.random.Generator, tenants: list[str]
) -> None:
    built(own_connection, rng, tenants, tenants[0])
    run(own_connection, "ANALYZE")
    own_connection.commit()
    with psycopg.connect(as_role(database, tenants[1])) as session:
        for table in derived_tables(session):
            for write in (f"DELETE FROM {table}", f"TRUNCATE {table}"):
                assert refusal(session, write).sqlstate == "42501"
            assert run(session, "SELECT 1 FROM pg_stats WHERE tablename = %s", table) == []
        for name in ("pg_policy", "pg_constraint", "pg_index", "pg_depend", "pg_attrdef"):
            told = run(session, f"SELECT t::text FROM {name} AS t")
            assert not any(tenants[0] in row for (row,) in told)


@pytest.mark.parametrize("mode", ["auto", "force_custom_plan", "force_generic_plan"])
def test_a_plan_that_is_kept_serves_who_asks(
    own_connection: psycopg.Connection,
    database: str,
    rng: np.random.Generator,
    tenants: list[str],
    mode: str,
) -> None:
    """Statements on derived tables, and a view on them, prepared by one role and run by another."""
    first, second, nobody = tenants
    built(own_connection, rng, tenants, first, second)
    run(
        own_connection,
        "CREATE VIEW seen WITH (security_invoker = true) AS"
        " SELECT part FROM documents_embeddings_centroids"
        " UNION ALL SELECT part FROM documents_embeddings_postings;"
        "GRANT SELECT ON seen TO PUBLIC",
    )
    own_connection.commit()
    with psycopg.connect(database) as session:
        run(session, f"SET plan_cache_mode = {mode}")
        run(session, "PREPARE direct AS SELECT DISTINCT part FROM documents_embeddings_documents")
        run(session, "PREPARE through AS SELECT DISTINCT part FROM seen")
        for statement in ("direct", "through"):
            assert len(run(session, f"EXECUTE {statement}")) == 2
            told = []
            for role in (first, second, nobody, first):
                run(session, f"SET ROLE {role}")
                told.append(run(session, f"EXECUTE {statement}"))
                run(session, "RESET ROLE")
            assert [len(rows) for rows in told] == [1, 1, 0, 1]
            assert told[0] == told[3] != told[1]


def test_a_cursor_that_is_held_shows_what_its_role_saw(
    own_connection: psycopg.Connection, database: str, rng: np.random.Generator, tenants: list[str]
) -> None:
    """As a cursor on the source does."""
    queries = built(own_connection, rng, tenants, tenants[0])
    own_connection.commit()
    with psycopg.connect(database) as session:
        run(session, f"SET ROLE {tenants[1]}")
        run(
            session,
            "DECLARE found CURSOR WITH HOLD FOR"
            " SELECT * FROM colbert.search('documents', %s::text[]::vector[])",
            texts(queries[0]),
        )
        run(session, "DECLARE read CURSOR WITH HOLD FOR SELECT * FROM documents_embeddings_lists")
        session.commit()
        run(session, f"SET ROLE {tenants[0]}")
        assert run(session, "FETCH ALL found") == []
        assert run(session, "FETCH ALL read") == []


def test_a_leaky_function_in_a_filter_is_shown_nothing_of_others(
    own_connection: psycopg.Connection, database: str, rng: np.random.Generator, tenants: list[str]
) -> None:
    make(own_connection, tenants)
    documents, queries = clustered_documents(rng, 40, 16)
    fill(own_connection, tenants[0], {2 * key: d for key, d in documents.items()})
    fill(own_connection, tenants[1], {2 * key + 1: d for key, d in documents.items()})
    run(own_connection, "SELECT colbert.reindex('documents')")
    run(
        own_connection,
        "CREATE FUNCTION told(id int) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS"
        " $$ BEGIN RAISE NOTICE '%', id; RETURN true; END $$",
    )
    own_connection.commit()
    notices: list[int] = []
    with psycopg.connect(as_role(database, tenants[1])) as session:
        session.add_notice_handler(lambda d: notices.append(int(d.message_primary or "0")))
        rows = run(
            session,
            "SELECT * FROM colbert.search('documents', %s::text[]::vector[], filter => 'told(id)')",
            texts(queries[0]),
        )
    assert len(rows) == 10
    assert notices
    assert all(number % 2 for number in notices)
    assert all(key % 2 for key in keys(rows))


def test_a_grant_and_a_revoke_take_effect_at_once(
    own_connection: psycopg.Connection, database: str, rng: np.random.Generator, tenants: list[str]
) -> None:
    """A search needs SELECT on the key, the array and the tenant."""
    queries = built(own_connection, rng, tenants, tenants[0])
    run(own_connection, f"REVOKE ALL ON documents FROM {tenants[0]}")
    own_connection.commit()
    search = "SELECT * FROM colbert.search('documents', %s::text[]::vector[], k => 3)"
    with psycopg.connect(as_role(database, tenants[0]), autocommit=True) as session:
        for _ in range(2):
            assert refusal(session, search, texts(queries[0])).sqlstate == "42501"
            for derived in derived_tables(own_connection):
                assert refusal(session, f"TABLE {derived}").sqlstate == "42501"
            columns = "(id, embeddings, tenant_id)"
            run(own_connection, f"GRANT SELECT {columns} ON documents TO {tenants[0]}")
            own_connection.commit()
            assert len(run(session, search, texts(queries[0]))) == 3
            for derived in derived_tables(own_connection):
                assert run(session, f"TABLE {derived}") or derived.endswith("_nodes")
            run(own_connection, f"REVOKE ALL {columns} ON documents FROM {tenants[0]}")
            own_connection.commit()
