"""What only reads runs on a hot standby."""

import os
from collections.abc import Iterator

import psycopg
import pytest

from tests.installing import install_with_psql
from tests.servers import Cluster, embedded_cluster
from tests.sql.documents import run

QUERY = """'{"[1,0,0]", "[0,1,0]"}'::vector[]"""


@pytest.fixture(scope="module")
def standby() -> Iterator[psycopg.Connection]:
    """A connection to the standby of a server of our own with table documents."""
    if "COLBERT_PG_TEST_URL" in os.environ:
        pytest.skip("a standby is made of a server of our own")
    with embedded_cluster(int(os.environ.get("COLBERT_PG_TEST_POSTGRES", "18"))) as primary:
        conninfo = primary.server.conninfo("postgres")
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
        install_with_psql(conninfo)
        with psycopg.connect(conninfo) as connection:
            run(
                connection,
                "CREATE TABLE documents (id int PRIMARY KEY, content text, embeddings vector(3)[]);"
                "INSERT INTO documents VALUES (1, 'red', '{\"[1,0,0]\"}'), (2, 'blue', NULL);"
                "SELECT colbert.create_index('documents')",
            )
        copy = Cluster(primary.binaries, primary.directory / "standby", port=5433)
        copy.directory.mkdir()
        copy.directory.chmod(0o777)
        primary.run(
            *("pg_basebackup", "--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
            *("-h", str(primary.directory), "-U", "postgres", "-D", str(copy.data)),
        )
        copy.start()
        try:
            with psycopg.connect(copy.server.conninfo("postgres")) as connection:
                yield connection
        finally:
            copy.stop()


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (f"SELECT doc_id FROM colbert.search('documents', {QUERY})", [(1,)]),
        (f"SELECT doc_id FROM colbert.search('documents', {QUERY}, filter => 'id > 0')", [(1,)]),
        (f"SELECT doc_id FROM colbert.rerank('documents', {QUERY}, ARRAY[1, 2])", [(1,)]),
        (
            "SELECT doc_id, maxsim_rank, text_rank FROM"
            f" colbert.hybrid_search('documents', {QUERY}, 'blue', language => 'english')",
            [(1, 1, None), (2, None, 1)],
        ),
    ],
)
def test_searches_run_on_a_hot_standby(
    standby: psycopg.Connection, statement: str, found: list[tuple[int, ...]]
) -> None:
    assert run(standby, "SELECT pg_is_in_recovery()") == [(True,)]
    assert run(standby, statement) == found
