"""CALL colbert.maintain() does what is due, table by table."""

from collections.abc import Callable

import numpy as np
import psycopg
import pytest
from psycopg import errors

from tests.servers import as_role
from tests.sql.documents import (
    create_index,
    create_table,
    derived_tables,
    insert,
    run,
    unit_documents,
)


@pytest.fixture
def two(database: str) -> psycopg.Connection:
    """In autocommit mode: documents with a stale index, notes without pgvector's index."""
    connection = psycopg.connect(database, autocommit=True)
    for name, method in (("documents", "plaid"), ("notes", "hnsw")):
        create_table(connection, name)
        insert(connection, unit_documents(np.random.default_rng(3), 20), name)
        create_index(connection, name, f", method => '{method}'")
    run(
        connection,
        "INSERT INTO documents_embeddings_centroids (centroid, trained)"
        " SELECT ARRAY[cos(n), sin(n), 0]::real[]::halfvec, false FROM generate_series(1, 4001) n",
    )
    run(connection, "DROP INDEX notes_embeddings_tokens_embedding_idx")
    return connection


def states(connection: psycopg.Connection) -> dict[str, str]:
    return dict(run(connection, "SELECT source::text, state FROM colbert.indexes"))


def test_what_is_stale_is_built_anew_and_what_is_broken_is_mended(two: psycopg.Connection) -> None:
    assert states(two) == {"documents": "stale", "notes": "broken"}
    run(two, "CALL colbert.maintain()")
    assert states(two) == {"documents": "ready", "notes": "ready"}
    centroids = derived_tables(two)[0]
    assert run(two, f"SELECT count(*) FROM {centroids} WHERE NOT trained") == [(0,)]


def test_each_index_is_committed_and_an_error_stops_no_other(two: psycopg.Connection) -> None:
    warnings: list[str] = []
    two.add_notice_handler(lambda d: warnings.append(f"{d.severity}: {d.message_primary}"))
    run(two, "CREATE VIEW counted AS SELECT count(*) FROM documents_embeddings_centroids")
    run(two, "CALL colbert.maintain()")
    assert states(two) == {"documents": "building", "notes": "ready"}
    [warning] = warnings
    assert warning.startswith(
        'WARNING: the index on "public.documents" is not maintained: cannot drop'
    )
    run(two, "DROP VIEW counted")
    run(two, "CALL colbert.maintain()")
    assert states(two) == {"documents": "ready", "notes": "ready"}


def test_tables_of_others_are_skipped_with_a_notice(
    two: psycopg.Connection, database: str, new_role: Callable[[], str]
) -> None:
    with psycopg.connect(as_role(database, new_role()), autocommit=True) as other:
        notices: list[str | None] = []
        other.add_notice_handler(lambda d: notices.append(d.message_primary))
        run(other, "CALL colbert.maintain()")
    assert notices == [
        f'skipping the index on "public.{name}": only the owner of the table can maintain it'
        for name in ("documents", "notes")
    ]
    assert states(two) == {"documents": "stale", "notes": "broken"}


def test_it_is_refused_inside_a_transaction(two: psycopg.Connection) -> None:
    with pytest.raises(errors.InvalidTransactionTermination), two.transaction():
        run(two, "CALL colbert.maintain()")
    assert states(two) == {"documents": "stale", "notes": "broken"}
