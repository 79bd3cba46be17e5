"""What a managed server allows: a role without rights over the server, with what else it has there.

Nothing here runs on such a service. The role is like theirs: no superuser, no pg_read_all_data, a
``statement_timeout``, pgvector created by somebody else in a schema ``extensions``.
"""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql

from colbert_pg import Client, Worker
from tests.client.words import WordEncoder
from tests.installing import WAYS
from tests.pooling import pgbouncer
from tests.servers import as_role
from tests.sql.documents import run
from tests.text.test_asking import working

CONTENTS = ["a cat sat on the mat", "the dog chased the cat", "stocks fell on monday"]
NO_FILES = [way for way in WAYS if way != "extension"]  # nobody may put files on such a server


@pytest.fixture
def tenant(bare_database: str, new_role: Callable[[], str]) -> str:
    """Connection string of an ordinary role that may create schemas in the database."""
    role = new_role()
    with psycopg.connect(bare_database) as connection:
        ((database,),) = run(connection, "SELECT current_database()")
        names = {"role": sql.Identifier(role), "database": sql.Identifier(database)}
        for statement in (
            "CREATE SCHEMA extensions",
            "CREATE EXTENSION vector SCHEMA extensions",
            "GRANT USAGE ON SCHEMA extensions TO {role}",
            "GRANT CREATE ON DATABASE {database} TO {role}",
            "GRANT CREATE ON SCHEMA public TO {role}",
            "ALTER ROLE {role} IN DATABASE {database} SET search_path = public, extensions",
            "ALTER ROLE {role} IN DATABASE {database} SET statement_timeout = '60s'",
        ):
            connection.execute(sql.SQL(statement).format(**names))
    return as_role(bare_database, role)


@pytest.fixture
def session(tenant: str) -> Iterator[psycopg.Connection]:
    """The role's connection in autocommit mode, to a database where nothing is installed."""
    with psycopg.connect(tenant, autocommit=True) as connection:
        yield connection


def write(session: psycopg.Connection) -> None:
    """Create a table of texts and an index, as SQL does it; the texts are pending."""
    run(
        session,
        "CREATE TABLE documents (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " content text, embeddings vector(32)[])",
    )
    run(
        session,
        "SELECT colbert.create_index('documents', method => 'plaid', options =>"
        ' \'{"text": "content"}\')',
    )
    for content in CONTENTS:
        run(session, "INSERT INTO documents (content) VALUES (%s)", content)


@pytest.mark.parametrize("way", NO_FILES)
def test_a_role_of_a_managed_server_does_everything(
    tenant: str, session: psycopg.Connection, way: str
) -> None:
    WAYS[way](tenant)
    ((superuser, reads_all, timeout),) = run(
        session,
        "SELECT rolsuper, pg_has_role(oid, 'pg_read_all_data', 'USAGE'),"
        " current_setting('statement_timeout') FROM pg_roles WHERE rolname = current_user",
    )
    assert (superuser, reads_all, timeout) == (False, False, "1min")
    write(session)
    assert Worker(session, WordEncoder()).drain().encoded == 3
    with working(tenant, WordEncoder()):
        run(session, "CALL colbert.encode_query('a dog', 'documents', '1 minute')")
    for method in ("plaid", "hnsw"):
        run(session, "SELECT colbert.drop_index('documents')")
        client = Client(session, WordEncoder())
        client.create_index("documents", method=method, options={"text": "content"})
        assert client.search("documents", "dog", k=1)[0].doc_id == 2
        run(session, "CALL colbert.reindex_concurrently('documents')")
        run(session, "CALL colbert.maintain()")
        assert run(session, "SELECT * FROM colbert.check_index('documents')") == []
        assert run(session, "SELECT state FROM colbert.indexes") == [("ready",)]


def test_a_build_that_a_statement_timeout_ends_is_gone_on_with(
    tenant: str, session: psycopg.Connection
) -> None:
    """A CALL is one statement, however often it commits; each step that it has committed stays."""
    WAYS["psql"](tenant)
    write(session)
    Worker(session, WordEncoder()).drain()
    with psycopg.connect(tenant) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        run(reader, "SELECT * FROM documents_embeddings_postings")  # the old tables stay for it
        run(session, "SET statement_timeout = '2s'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            run(session, "CALL colbert.reindex_concurrently('documents')")
    assert run(session, "SELECT count(*) FROM colbert._build") == [(1,)]
    run(session, "SET statement_timeout = 0")
    run(session, "CALL colbert.maintain()")
    assert run(session, "SELECT count(*) FROM colbert._build") == [(0,)]
    assert run(session, "SELECT * FROM colbert.check_index('documents')") == []
    assert run(session, "SELECT state FROM colbert.indexes") == [("ready",)]


def test_a_transaction_pooler_before_such_a_role(tenant: str, session: psycopg.Connection) -> None:
    """One CALL, then search_text, each on whatever connection the pool gives; maintain as well.

    The worker that answers has a session of its own.
    """
    WAYS["psql"](tenant)
    with (
        pgbouncer(tenant) as pooled,
        psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as client,
    ):
        write(client)
        Worker(client, WordEncoder()).drain()  # as colbert-pg worker --once
        with working(tenant, WordEncoder()):
            run(client, "CALL colbert.encode_query('a dog', 'documents', '1 minute')")
        found = run(client, "SELECT doc_id FROM colbert.search_text('documents', 'a dog', k => 1)")
        assert found == [(2,)]
        run(client, "CALL colbert.reindex_concurrently('documents')")
        run(client, "CALL colbert.maintain()")
    assert run(session, "SELECT state FROM colbert.indexes") == [("ready",)]
