"""What only reads runs on a hot standby."""

import os
from collections.abc import Iterator

import psycopg
import pytest

from colbert_pg import Client
from tests.client.words import WordEncoder
from tests.installing import install_with_psql
from tests.servers import Cluster, embedded_cluster
from tests.sql.documents import hint, refusal, run
from tests.text.test_asking import working

QUERY = """'{"[1,0,0]", "[0,1,0]"}'::vector[]"""


def ask_on_the_primary(conninfo: str) -> None:
    """A table notes with two texts, and the vectors of the question "a dog", for the superuser."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        run(
            connection,
            "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            " content text, embeddings vector(32)[])",
        )
        client = Client(connection, WordEncoder())
        client.create_index("notes", options={"text": "content"})
        client.add("notes", ["a cat sat on the mat", "the dog chased the cat"])
        with working(conninfo, WordEncoder()):
            run(connection, "CALL colbert.encode_query('a dog', 'notes', '1 minute')")


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
        ask_on_the_primary(conninfo)
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
        ("SELECT doc_id FROM colbert.search_text('notes', 'a dog', k => 1)", [(2,)]),
        (
            "SELECT doc_id, maxsim_rank FROM colbert.hybrid_search_text('notes', 'a dog', k => 1)",
            [(2, 1)],
        ),
        ("SELECT colbert.request_query('a dog', 'notes')", [(True,)]),
    ],
)
def test_searches_run_on_a_hot_standby(
    standby: psycopg.Connection, statement: str, found: list[tuple[int, ...]]
) -> None:
    assert run(standby, "SELECT pg_is_in_recovery()") == [(True,)]
    assert run(standby, statement) == found


def test_a_question_that_is_not_kept_has_to_be_asked_on_the_primary(
    standby: psycopg.Connection,
) -> None:
    refused = refusal(standby, "SELECT colbert.request_query('a cat', 'notes')")
    assert refused.sqlstate == "25006"
    assert "on the primary server" in (hint(refused) or "")
    unanswered = refusal(standby, "SELECT colbert.search_text('notes', 'a cat')")
    assert unanswered.sqlstate == "55000"
