"""kill -9 of a backend and of the whole server: what was committed is there, the index with it."""

import os
import signal
import threading
from contextlib import suppress

import numpy as np
import psutil
import psycopg
import pytest

from tests.faults.damage import (
    CATALOG,
    assert_sound,
    documents_table,
    stages_passed,
    stop_at_stage,
)
from tests.servers import Cluster
from tests.sql.documents import (
    DERIVING,
    METHODS,
    create_table,
    derived_tables,
    insert,
    problems,
    run,
    search,
    texts,
    unit,
    unit_documents,
)
from tests.waiting import PATIENCE, wait_for

KILL = """
    EXECUTE format('COPY (SELECT) TO PROGRAM %L', 'kill -9 ' || pg_backend_pid());
    PERFORM pg_sleep(900);
"""
HANG = "PERFORM pg_sleep(900);"
FUNCTIONS = ["create_index", "reindex", "repair_index"]


def prepare(connection: psycopg.Connection, function: str) -> None:
    """Have work for the function; the index is of the method that the table was made with."""
    if function == "create_index":
        run(connection, "SELECT colbert.drop_index('documents')")
    elif function == "repair_index":
        run(connection, "DROP FUNCTION colbert_sync_1 CASCADE")
        for table in derived_tables(connection):
            run(connection, f"DROP TABLE {table}")
    connection.commit()


def statement_for(function: str, method: str) -> str:
    more = f", method => '{method}'" if function == "create_index" else ""
    return f"SELECT colbert.{function}('documents'{more})"


def count_stages(connection: psycopg.Connection, statement: str) -> int:
    stop_at_stage(connection, 0, "NULL;")
    run(connection, statement)
    stages = stages_passed(connection)
    connection.rollback()
    return stages


def answers(conninfo: str) -> bool:
    try:
        psycopg.connect(conninfo).close()
    except psycopg.OperationalError:
        return False
    return True


def dies(conninfo: str, statement: str) -> None:
    """Run what kills its own backend, and wait until the server has recovered."""
    with psycopg.connect(conninfo, autocommit=True) as witness:
        with (
            pytest.raises(psycopg.OperationalError),
            psycopg.connect(conninfo, autocommit=True) as doomed,
        ):
            run(doomed, statement)

        def ended() -> bool:
            try:
                run(witness, "SELECT 1")
            except psycopg.OperationalError:
                return True
            return False

        # A crash of one backend ends every other.
        wait_for(ended, "the server to notice")
    wait_for(lambda: answers(conninfo), "the server to recover")


def kill_server(cluster: Cluster) -> None:
    """SIGKILL to every process of the server, and a start that recovers."""
    pid = int((cluster.data / "postmaster.pid").read_text().splitlines()[0])
    postmaster = psutil.Process(pid)
    processes = [postmaster, *postmaster.children(recursive=True)]
    for process in processes:
        with suppress(ProcessLookupError):  # it ended with the postmaster
            os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs(processes, timeout=PATIENCE)
    cluster.start()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_backend_killed_in_a_function_leaves_what_was_committed(
    own_database: str, rng: np.random.Generator, function: str, method: str
) -> None:
    conninfo = own_database
    documents = unit_documents(rng, 20)
    statement = statement_for(function, method)
    with psycopg.connect(conninfo) as connection:
        documents_table(connection, documents, method)
        prepare(connection, function)
        stages = count_stages(connection, statement)
    for stage in sorted({stages // 2, stages} - {0}):
        with psycopg.connect(conninfo) as connection:
            stop_at_stage(connection, stage, KILL)
            connection.commit()
            before = run(connection, CATALOG)
        dies(conninfo, statement)
        with psycopg.connect(conninfo) as connection:
            assert run(connection, CATALOG) == before
    with psycopg.connect(conninfo) as connection:
        stop_at_stage(connection, 0, "NULL;")
        run(connection, statement)
        assert_sound(connection, unit(rng, 4, 3), documents)


@pytest.mark.parametrize("method", DERIVING)
@pytest.mark.parametrize("procedure", ["create_index_concurrently", "reindex_concurrently"])
def test_a_build_beside_writers_that_is_killed_goes_on_after_the_recovery(
    own_database: str, rng: np.random.Generator, procedure: str, method: str
) -> None:
    """Killed at several of its stages, written to in between, and then maintained."""
    documents = unit_documents(rng, 20)
    create = procedure == "create_index_concurrently"
    arguments = f"'documents', method => '{method}'" if create else "'documents'"
    statement = f"CALL colbert.{procedure}({arguments})"
    with psycopg.connect(own_database) as connection:
        documents_table(connection, documents, None if create else method)
    for killed, stage in enumerate((3, 1, 6), start=1):
        with psycopg.connect(own_database, autocommit=True) as connection:
            stop_at_stage(connection, stage, KILL)
        dies(own_database, statement)
        with psycopg.connect(own_database, autocommit=True) as connection:
            run(connection, "ALTER EVENT TRIGGER stop_at_stage DISABLE")
            assert run(connection, "SELECT state FROM colbert.indexes") == [("building",)]
            documents[killed] = unit(rng, 4, 3)
            run(
                connection,
                "UPDATE documents SET embeddings = %s::text[]::vector[] WHERE id = %s",
                texts(documents[killed]),
                killed,
            )
            if killed == 2:
                run(connection, "CALL colbert.maintain()")
                assert run(connection, "SELECT state FROM colbert.indexes") == [("ready",)]
                assert_sound(connection, unit(rng, 4, 3), documents)
                statement = "CALL colbert.reindex_concurrently('documents')"
    with psycopg.connect(own_database, autocommit=True) as connection:
        run(connection, "CALL colbert.maintain()")
        assert_sound(connection, unit(rng, 4, 3), documents)
        assert run(connection, "SELECT * FROM colbert._build") == []


@pytest.mark.parametrize("method", METHODS)
def test_a_backend_killed_in_a_load_leaves_what_was_committed(
    own_database: str, rng: np.random.Generator, method: str
) -> None:
    conninfo = own_database
    documents = unit_documents(rng, 30)
    kept = {key: documents[key] for key in range(1, 21)}
    with psycopg.connect(conninfo) as connection:
        documents_table(connection, {}, method)
        insert(connection, kept)
        run(
            connection,
            f"CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {KILL} END $$;"
            "CREATE TRIGGER die AFTER INSERT ON documents FOR EACH ROW WHEN (NEW.id = 25) "
            "EXECUTE FUNCTION die()",
        )
        run(connection, "CREATE TABLE lost AS SELECT * FROM documents LIMIT 0")
        insert(connection, {key: documents[key] for key in range(21, 31)}, "lost")
    dies(conninfo, "INSERT INTO documents SELECT * FROM lost ORDER BY id")
    dies(conninfo, "COPY documents FROM PROGRAM 'seq 21 30 | sed ''s/$/\t{\"[0,0,1]\"}/'''")
    with psycopg.connect(conninfo) as connection:
        assert run(connection, "SELECT count(*) FROM documents") == [(20,)]
        assert_sound(connection, unit(rng, 4, 3), kept)
        run(connection, "DROP TRIGGER die ON documents; INSERT INTO documents SELECT * FROM lost")
        assert_sound(connection, unit(rng, 4, 3), documents)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("function", [*FUNCTIONS, "load"])
def test_a_server_killed_while_it_works_recovers_with_every_commit(
    own_cluster: Cluster,
    own_database: str,
    rng: np.random.Generator,
    function: str,
    method: str,
) -> None:
    conninfo = own_database
    documents = unit_documents(rng, 20)
    with psycopg.connect(conninfo) as connection:
        documents_table(connection, documents, method)
        if function == "load":
            statement = "INSERT INTO documents SELECT id + 100, embeddings FROM documents"
            run(
                connection,
                "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql "
                f"AS $$ BEGIN {HANG} RETURN NULL; END $$;"
                "CREATE TRIGGER hang AFTER INSERT ON documents FOR EACH ROW WHEN (NEW.id = 110) "
                "EXECUTE FUNCTION hang()",
            )
        else:
            statement = statement_for(function, method)
            prepare(connection, function)
            stages = count_stages(connection, statement)
            if stages:
                stop_at_stage(connection, stages, HANG)
            else:
                statement += "; SELECT pg_sleep(900)"
        connection.commit()
        before = run(connection, CATALOG)

    def work() -> None:
        with (
            pytest.raises(psycopg.OperationalError),
            psycopg.connect(conninfo, autocommit=True) as doomed,
        ):
            run(doomed, statement)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    # One that is committed just before, as nothing else is
    late = unit(rng, 3, 3)
    with psycopg.connect(own_cluster.server.conninfo(), autocommit=True) as observer:
        asleep = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        wait_for(lambda: bool(run(observer, asleep)), "the function to be under way")
    with psycopg.connect(conninfo) as connection:
        create_table(connection, "others")
        insert(connection, {1: late}, "others")
    kill_server(own_cluster)
    worker.join(PATIENCE)
    with psycopg.connect(conninfo) as connection:
        assert run(connection, "SELECT count(*) FROM documents") == [(20,)]
        same = "SELECT embeddings = %s::text[]::vector[] FROM others"
        assert run(connection, same, texts(late)) == [(True,)]
        assert [row for row in run(connection, CATALOG) if "others" not in row[1]] == before
        if function == "create_index":
            run(connection, "DROP EVENT TRIGGER IF EXISTS stop_at_stage")
            run(connection, statement.partition(";")[0])
        elif function == "repair_index":
            run(connection, "DROP EVENT TRIGGER IF EXISTS stop_at_stage")
            assert problems(connection)
            run(connection, statement.partition(";")[0])
        assert_sound(connection, unit(rng, 4, 3), documents)


@pytest.mark.parametrize("method", METHODS)
def test_an_unlogged_table_and_its_index_are_empty_after_a_crash(
    own_cluster: Cluster, own_database: str, rng: np.random.Generator, method: str
) -> None:
    conninfo = own_database
    documents = unit_documents(rng, 10)
    with psycopg.connect(conninfo) as connection:
        run(
            connection,
            "CREATE UNLOGGED TABLE documents (id int PRIMARY KEY, embeddings vector(3)[])",
        )
        insert(connection, documents)
        run(connection, f"SELECT colbert.create_index('documents', method => '{method}')")
    kill_server(own_cluster)
    with psycopg.connect(conninfo) as connection:
        assert search(connection, unit(rng, 2, 3)) == []
        assert problems(connection) == []
        insert(connection, documents)
        assert_sound(connection, unit(rng, 4, 3), documents)
