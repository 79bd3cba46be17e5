"""One server and one database a run; a transaction that is rolled back for each test.

A test that commits, opens a second session or looks at all of a database asks for `own_connection`
or `database`: those are a database of its own.

The server is PostgreSQL 18 of our own (COLBERT_PG_TEST_POSTGRES=16 for 16), or the one that
--postgresql-host, --postgresql-port and friends or COLBERT_PG_TEST_URL name: there the tests need a
superuser and pgvector, and create and drop databases and roles of their own.
COLBERT_PG_INSTALL=psql|extension|alembic|python says how colbert_pg is installed for the tests.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np
import psycopg
import pytest
from psycopg import sql
from psycopg.pq import TransactionStatus
from pytest_postgresql import factories
from pytest_postgresql.executors import NoopExecutor
from pytest_postgresql.janitor import DatabaseJanitor

from tests.contents import contents, objects_of_all
from tests.installing import chosen_way
from tests.judging import Judge
from tests.servers import Server, embedded_cluster, existing_server

_numbers = itertools.count(1)


_JUDGE = pytest.StashKey[Judge]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_JUDGE] = Judge(config)
    config.pluginmanager.register(config.stash[_JUDGE])


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> Iterator[Server]:
    """The running PostgreSQL server."""
    option = pytestconfig.getoption
    if url := os.environ.get("COLBERT_PG_TEST_URL"):
        yield existing_server(url)
    elif option("postgresql_host"):
        yield Server(
            host=option("postgresql_host"),
            port=int(option("postgresql_port") or 5432),
            user=option("postgresql_user") or "postgres",
            password=option("postgresql_password"),
        )
    else:
        with embedded_cluster(int(os.environ.get("COLBERT_PG_TEST_POSTGRES", "18"))) as cluster:
            before = objects_of_all(cluster.server.conninfo())
            yield cluster.server
            pytestconfig.stash[_JUDGE].keep(cluster.directory / "log")
            left = objects_of_all(cluster.server.conninfo()) ^ before
            assert not left, f"tests have left databases or roles: {left}"


def _install_template(
    host: str, port: int, user: str, dbname: str, password: str | None, **_: object
) -> None:
    conninfo = Server(host, port, user, password).conninfo(dbname)
    with psycopg.connect(conninfo) as connection:
        connection.execute("CREATE EXTENSION vector")
    chosen_way()(conninfo)


# The template: pgvector and colbert_pg, installed once a run.
installed = factories.postgresql_noproc(
    depends_on="server", dbname="colbert_pg_test", load=[_install_template]
)


@contextmanager
def _databases(server: Server) -> Iterator[Callable[..., str]]:
    janitors: list[DatabaseJanitor] = []

    def create(template: str | None = None) -> str:
        janitor = DatabaseJanitor(
            user=server.user,
            host=server.host,
            port=server.port,
            password=server.password,
            maintenance_dbname=server.maintenance_dbname,
            dbname=f"colbert_pg_test_{os.getpid()}_{next(_numbers)}",
            template_dbname=template,
        )
        janitor.init()
        janitors.append(janitor)
        return server.conninfo(janitor.dbname)

    yield create
    for janitor in janitors:
        janitor.drop()


@pytest.fixture
def new_database(server: Server) -> Iterator[Callable[..., str]]:
    """Make a database, empty or a copy of another; returns its connection string."""
    with _databases(server) as create:
        yield create


@pytest.fixture(scope="module")
def module_database(server: Server) -> Iterator[str]:
    """Connection string of a database where nothing is installed, kept for all of a module."""
    with _databases(server) as create:
        yield create()


@pytest.fixture(scope="module")
def module_database_installed(server: Server, installed: NoopExecutor) -> Iterator[str]:
    """Connection string of a database with pgvector and colbert_pg, kept for all of a module."""
    with _databases(server) as create:
        yield create(installed.template_dbname)


@pytest.fixture
def database(new_database: Callable[..., str], installed: NoopExecutor) -> str:
    """Connection string of a fresh database with pgvector and colbert_pg, for a superuser."""
    return new_database(installed.template_dbname)


@pytest.fixture
def bare_database(new_database: Callable[..., str]) -> str:
    """Connection string of a fresh database where nothing is installed, for a superuser."""
    return new_database()


@pytest.fixture
def own_connection(database: str) -> Iterator[psycopg.Connection]:
    """A connection to `database`, for a test that commits; autocommit is off."""
    with psycopg.connect(database) as connection:
        yield connection
        connection.rollback()


@pytest.fixture(scope="session")
def shared_database(server: Server, installed: NoopExecutor) -> Iterator[str]:
    """Connection string of the database of `connection`, where nothing is ever committed."""
    with _databases(server) as create:
        conninfo = create(installed.template_dbname)
        before = contents(conninfo)
        yield conninfo
        left = contents(conninfo) ^ before
        assert not left, f"a test with the fixture connection has committed: {sorted(left)[:20]}"


class Uncommitted(psycopg.Connection[Any]):
    """A connection to a database that tests share: it refuses to commit."""

    def commit(self) -> NoReturn:
        raise AssertionError("a test that commits needs the fixture own_connection")

    def _set_autocommit(self, value: bool) -> NoReturn:
        self.commit()

    @contextmanager
    def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> Iterator[psycopg.Transaction]:
        if self.info.transaction_status == TransactionStatus.IDLE and not force_rollback:
            self.commit()
        with super().transaction(savepoint_name, force_rollback) as transaction:
            yield transaction


@pytest.fixture
def connection(shared_database: str) -> Iterator[psycopg.Connection]:
    """A connection in a transaction that is rolled back, in a database that tests share."""
    connection = Uncommitted.connect(shared_database)
    connection.pgconn.exec_(b"BEGIN")
    yield connection
    connection.close()


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(20)


@pytest.fixture(scope="session")
def server_version_num(server: Server) -> int:
    """The server's version, as 180004."""
    with psycopg.connect(server.conninfo()) as connection:
        return connection.info.server_version


@pytest.fixture(scope="session")
def new_role(server: Server) -> Iterator[Callable[..., str]]:
    """Make a role without special rights (log in with servers.as_role); returns its name."""
    roles: list[str] = []

    def create() -> str:
        role = f"colbert_pg_test_role_{os.getpid()}_{next(_numbers)}"
        statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
        _execute(server, statement.format(sql.Identifier(role), sql.Literal(role)))
        roles.append(role)
        return role

    yield create
    for role in reversed(roles):
        _execute(server, sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def _execute(server: Server, statement: sql.Composed) -> None:
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute(statement)
