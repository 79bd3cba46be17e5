"""A subscriber keeps indexes of its own in step; a hot standby searches, and takes over."""

from collections.abc import Callable, Iterator

import numpy as np
import psycopg
import pytest

from tests.faults.damage import assert_sound, documents_table
from tests.servers import Cluster, private_directory
from tests.sql.documents import (
    METHODS,
    Documents,
    Matrix,
    create_index,
    create_table,
    insert,
    problems,
    ranking,
    refusal,
    run,
    search,
    texts,
    unit,
    unit_documents,
)
from tests.waiting import wait_for

# What the page of promises says: triggers that fire for replicated rows, too.
ALWAYS = """
    DO $$
    DECLARE
      _statement text;
    BEGIN
      FOR _statement IN
        SELECT format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', t.tgrelid::regclass, t.tgname)
          FROM pg_trigger t
         WHERE t.tgrelid = 'documents'::regclass AND t.tgname LIKE '!colbert%'
      LOOP
        EXECUTE _statement;
      END LOOP;
    END $$
"""


@pytest.fixture
def subscriber(own_cluster: Cluster, own_database: str) -> Iterator[str]:
    """Another database of the server, whose subscriptions go with it."""
    name = "subscriber"
    with psycopg.connect(own_cluster.server.conninfo(), autocommit=True) as connection:
        run(connection, f"CREATE DATABASE {name}")
    conninfo = own_cluster.server.conninfo(name)
    yield conninfo
    with psycopg.connect(conninfo, autocommit=True) as connection:
        run(connection, "DROP SUBSCRIPTION IF EXISTS documents")
    with psycopg.connect(own_cluster.server.conninfo(), autocommit=True) as connection:
        run(connection, f"DROP DATABASE {name} WITH (FORCE)")


def subscribe(publisher: psycopg.Connection, subscriber: psycopg.Connection) -> Callable[[], None]:
    """Replicate table documents; returns what waits until the subscriber has caught up."""
    publisher.autocommit = subscriber.autocommit = True
    run(publisher, "CREATE PUBLICATION documents FOR TABLE documents")
    # In one server the slot has to be made first: CREATE SUBSCRIPTION would wait for itself.
    run(publisher, "SELECT pg_create_logical_replication_slot('documents', 'pgoutput')")
    run(
        subscriber,
        f"CREATE SUBSCRIPTION documents CONNECTION '{publisher.info.dsn}' "
        "PUBLICATION documents WITH (create_slot = false, slot_name = 'documents')",
    )

    def caught_up() -> None:
        states = "SELECT DISTINCT srsubstate::text FROM pg_subscription_rel"
        wait_for(lambda: run(subscriber, states) == [("r",)], "the first copy")
        [(written,)] = run(publisher, "SELECT pg_current_wal_lsn()")
        confirmed = (
            "SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots "
            "WHERE slot_name = 'documents'"
        )
        wait_for(lambda: run(publisher, confirmed, written) == [(True,)], "the subscriber")

    return caught_up


@pytest.mark.parametrize("method", METHODS)
def test_an_index_of_the_subscriber_follows_the_publisher(
    own_database: str, subscriber: str, rng: np.random.Generator, method: str
) -> None:
    documents = unit_documents(rng, 20)
    query = unit(rng, 4, 3)
    with psycopg.connect(own_database) as publisher, psycopg.connect(subscriber) as there:
        documents_table(publisher, documents, "hnsw")
        documents_table(there, {}, method)
        run(there, ALWAYS)
        there.commit()
        caught_up = subscribe(publisher, there)
        caught_up()
        assert_sound(there, query, documents)

        more = {key: unit(rng, 3, 3) for key in (101, 102)}
        insert(publisher, more)
        changed = unit(rng, 2, 3)
        run(publisher, "UPDATE documents SET id = 201 WHERE id = 1")
        run(
            publisher,
            "UPDATE documents SET embeddings = %s::text[]::vector[] WHERE id = 2",
            texts(changed),
        )
        run(publisher, "DELETE FROM documents WHERE id = 3")
        caught_up()
        kept = {key: document for key, document in documents.items() if key > 3}
        assert_sound(there, query, kept | more | {201: documents[1], 2: changed})
        assert search(there, query) == search(publisher, query)

        run(publisher, "TRUNCATE documents")
        caught_up()
        assert_sound(there, query, {})


def test_without_always_the_check_finds_what_replication_wrote(
    own_database: str, subscriber: str, rng: np.random.Generator
) -> None:
    documents = unit_documents(rng, 5)
    query = unit(rng, 4, 3)
    with psycopg.connect(own_database) as publisher, psycopg.connect(subscriber) as there:
        documents_table(publisher, documents)
        documents_table(there, {}, "hnsw")
        subscribe(publisher, there)()
        assert problems(there) == [("missing document", str(key)) for key in documents]
        expected = [(k, pytest.approx(s, abs=1e-5)) for k, s in ranking(query, documents)]
        assert search(there, query) == expected
        run(there, "SELECT colbert.repair_index('documents')")
        assert_sound(there, query, documents)


@pytest.fixture
def standby(own_cluster: Cluster) -> Iterator[Cluster]:
    """A hot standby of the server."""
    with private_directory() as directory:
        copy = Cluster(own_cluster.binaries, directory)
        copy.run(
            "pg_basebackup",
            "--pgdata",
            str(copy.data),
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
            "--wal-method=stream",
            "--dbname",
            own_cluster.server.conninfo(),
        )
        copy.start()
        yield copy
        copy.stop()


def replayed(primary: psycopg.Connection, standby: psycopg.Connection) -> None:
    """Wait until the standby has all that the primary has committed."""
    [(written,)] = run(primary, "SELECT pg_current_wal_lsn()")
    primary.commit()
    standby.autocommit = True
    statement = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
    wait_for(lambda: run(standby, statement, written) == [(True,)], "the standby")


def test_a_standby_searches_and_goes_on_after_its_promotion(
    own_database: str, standby: Cluster, rng: np.random.Generator
) -> None:
    everything: dict[str, Documents] = {}
    query: Matrix = unit(rng, 4, 3)
    with psycopg.connect(own_database) as primary:
        for method in METHODS:
            everything[method] = unit_documents(rng, 20)
            create_table(primary, method)
            insert(primary, everything[method], method)
            create_index(primary, method, f", method => '{method}'")
        primary.commit()
        dbname = primary.info.dbname
        with psycopg.connect(standby.server.conninfo(dbname)) as there:
            replayed(primary, there)
            for method, documents in everything.items():
                assert_sound(there, query, documents, method)
                for call in (
                    f"colbert.search('{method}', %s::text[]::vector[], filter => 'id > 0')",
                    f"colbert.rerank('{method}', %s::text[]::vector[], ARRAY[1, 2])",
                    f"colbert.maxsim_matches(%s::text[]::vector[], 1, '{method}')",
                ):
                    assert run(there, f"SELECT * FROM {call}", texts(query))
                refused = refusal(there, f"SELECT colbert.reindex('{method}')")
                assert refused.sqlstate == "25006"
            # A row that comes while the standby is read
            insert(primary, {101: unit(rng, 2, 3)}, METHODS[-1])
            primary.commit()
            replayed(primary, there)
            assert problems(there, METHODS[-1]) == []
    standby.run("pg_ctl", "promote", "--wait")
    with psycopg.connect(standby.server.conninfo(dbname)) as promoted:
        for method in METHODS:
            insert(promoted, {102: unit(rng, 2, 3)}, method)
            run(promoted, f"DELETE FROM {method} WHERE id = 1")
            run(promoted, f"SELECT colbert.reindex('{method}')")
            assert problems(promoted, method) == []
