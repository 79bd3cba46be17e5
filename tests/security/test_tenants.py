"""Row-level security with any method: other tenants' rows change nothing and show nowhere."""

from collections.abc import Callable

import numpy as np
import psycopg
import pytest

from tests.servers import as_role
from tests.sql.documents import (
    METHODS,
    Documents,
    Matrix,
    create_index,
    derived_tables,
    insert,
    refusal,
    run,
    texts,
    unit,
    unit_documents,
)

PLAIN = """
    CREATE TABLE documents (id int PRIMARY KEY, embeddings vector(3)[], tenant name,
                            content text DEFAULT 'one of many')
"""
PARTITIONED = f"""
    {PLAIN} PARTITION BY RANGE (id);
    CREATE TABLE low PARTITION OF documents FOR VALUES FROM (0) TO (200);
    CREATE TABLE high PARTITION OF documents DEFAULT;
    ALTER TABLE low ENABLE ROW LEVEL SECURITY;
    ALTER TABLE high ENABLE ROW LEVEL SECURITY;
"""
CALLS = [
    "SELECT * FROM colbert.search('documents', %(q)s::text[]::vector[], k => 1000)",
    "SELECT * FROM colbert.search('documents', %(q)s::text[]::vector[], k => 3)",
    "SELECT * FROM colbert.search('documents', %(q)s::text[]::vector[], k => 3, candidates => 3)",
    "SELECT * FROM colbert.search('documents', %(q)s::text[]::vector[], k => 3, exact => true)",
    "SELECT * FROM colbert.search('documents', %(q)s::text[]::vector[], k => 1000, "
    "filter => '1 / (id %% 2) = 1')",
    "SELECT * FROM colbert.hybrid_search('documents', %(q)s::text[]::vector[], 'one two', "
    "k => 1000)",
    "SELECT stage, documents FROM colbert.explain_search('documents', %(q)s::text[]::vector[]) "
    "WHERE documents > 0",
    "SELECT * FROM colbert.rerank('documents', %(q)s::text[]::vector[], "
    "(SELECT array_agg(i) FROM generate_series(0, 900) AS i))",
    "SELECT i, colbert.maxsim(%(q)s::text[]::vector[], i) FROM generate_series(0, 900, 50) AS i",
    "SELECT m.* FROM generate_series(0, 900, 50) AS i, "
    "colbert.maxsim_matches(%(q)s::text[]::vector[], i) AS m",
]


@pytest.fixture
def tenants(new_role: Callable[[], str]) -> tuple[str, str]:
    return new_role(), new_role()


def fill(connection: psycopg.Connection, tenant: str, documents: Documents) -> None:
    insert(connection, documents)
    run(connection, "UPDATE documents SET tenant = %s WHERE tenant IS NULL", tenant)


def answers(database: str, tenant: str, query: Matrix) -> list[object]:
    """All that the calls tell a tenant."""
    with psycopg.connect(as_role(database, tenant)) as session:
        return [session.execute(call.encode(), {"q": texts(query)}).fetchall() for call in CALLS]


@pytest.mark.parametrize("table", [PLAIN, PARTITIONED], ids=["plain", "partitioned"])
@pytest.mark.parametrize("method", METHODS)
def test_a_tenant_is_told_the_same_with_and_without_another(
    own_connection: psycopg.Connection,
    database: str,
    rng: np.random.Generator,
    tenants: tuple[str, str],
    method: str,
    table: str,
) -> None:
    """Odd keys are the first tenant's; the filter divides by zero on any of the other's."""
    first, second = tenants
    run(
        own_connection,
        f"{table}; ALTER TABLE documents ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON documents USING (tenant = current_user)",
    )
    for tenant in tenants:
        run(own_connection, f"GRANT SELECT, INSERT, UPDATE, DELETE ON documents TO {tenant}")
    create_index(own_connection, "documents", f", method => '{method}'")
    fill(own_connection, first, {2 * k + 1: d for k, d in unit_documents(rng, 130).items()})
    own_connection.commit()
    query = unit(rng, 3, 3)
    alone = answers(database, first, query)
    assert answers(database, second, query)[:-2] == [[]] * (len(CALLS) - 2)
    # The best documents there are, and more of them
    hidden = {2 * k: np.concatenate([query, d]) for k, d in unit_documents(rng, 200).items()}
    fill(own_connection, second, hidden)
    run(own_connection, "ANALYZE documents")
    own_connection.commit()
    assert answers(database, first, query) == alone

    with psycopg.connect(as_role(database, first)) as session:
        for derived in derived_tables(session):
            about = run(
                session,
                "SELECT 1 FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'doc_id'",
                derived,
            )
            shown = f"SELECT DISTINCT doc_id % 2 FROM {derived}" if about else f"TABLE {derived}"
            assert run(session, shown) == ([(1,)] if about else [])
            assert refusal(session, f"DELETE FROM {derived}").sqlstate == "42501"
            assert run(session, "SELECT 1 FROM pg_stats WHERE tablename = %s", derived) == []


@pytest.mark.parametrize("method", METHODS)
def test_a_tenant_without_documents_reads_nothing_of_the_index(
    own_connection: psycopg.Connection,
    database: str,
    rng: np.random.Generator,
    tenants: tuple[str, str],
    method: str,
) -> None:
    """So that an empty result takes no longer for what others have in the index."""
    run(own_connection, PLAIN)
    fill(own_connection, tenants[0], unit_documents(rng, 130))
    create_index(own_connection, "documents", f", method => '{method}'")
    run(
        own_connection,
        "ALTER TABLE documents ENABLE ROW LEVEL SECURITY; "
        "CREATE POLICY own ON documents USING (tenant = current_user);"
        f"GRANT SELECT ON documents TO {tenants[1]}",
    )
    own_connection.commit()
    with psycopg.connect(as_role(database, tenants[1])) as session:
        session.execute(CALLS[1].encode(), {"q": texts(unit(rng, 3, 3))})
        [(read,)] = run(
            session,
            "SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::int "
            "FROM pg_stat_xact_user_tables WHERE relname LIKE 'documents\\_embeddings\\_%'",
        )
    assert read == 0


@pytest.mark.parametrize("method", METHODS)
def test_a_grant_and_a_revoke_take_effect_at_once(
    own_connection: psycopg.Connection,
    database: str,
    rng: np.random.Generator,
    tenants: tuple[str, str],
    method: str,
) -> None:
    run(own_connection, PLAIN)
    insert(own_connection, unit_documents(rng, 130))
    create_index(own_connection, "documents", f", method => '{method}'")
    own_connection.commit()
    query = texts(unit(rng, 3, 3))
    search = "SELECT * FROM colbert.search('documents', %s::text[]::vector[], k => 3)"
    with psycopg.connect(as_role(database, tenants[0]), autocommit=True) as session:
        for _ in range(2):
            assert refusal(session, search, query).sqlstate == "42501"
            for derived in derived_tables(own_connection):
                assert refusal(session, f"TABLE {derived}").sqlstate == "42501"
            run(own_connection, f"GRANT SELECT (id, embeddings) ON documents TO {tenants[0]}")
            own_connection.commit()
            assert len(run(session, search, query)) == 3
            for derived in derived_tables(own_connection):
                assert run(session, f"TABLE {derived}") or derived.endswith("_nodes")
            run(own_connection, f"REVOKE ALL (id, embeddings) ON documents FROM {tenants[0]}")
            own_connection.commit()
