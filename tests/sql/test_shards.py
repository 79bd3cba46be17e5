"""Search over shards: databases of one server, reached as other servers are.

It takes dblink and postgres_fdw, which the servers from PyPI lack: there these tests are skipped.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from pytest_postgresql.executors import NoopExecutor

from tests.servers import REPOSITORY, Server, as_role
from tests.sql.documents import run

PAGE = REPOSITORY / "docs" / "shards.md"


def needs(server: Server, *extensions: str) -> None:
    """Skip the test where an extension is not there."""
    with psycopg.connect(server.conninfo()) as connection:
        there = "SELECT name FROM pg_available_extensions WHERE name = ANY (%s)"
        missing = set(extensions) - {name for (name,) in run(connection, there, list(extensions))}
    if missing:
        pytest.skip(f"the server lacks {', '.join(sorted(missing))}")


@dataclass
class Cluster:
    """The server that is asked, its shards, and a role that may read, with a password."""

    asked: psycopg.Connection
    shards: list[psycopg.Connection]
    conninfos: list[str]
    """Of the server that is asked, and of the shards."""
    host: str
    """Where the server finds itself."""
    port: str
    role: str

    def database(self, shard: int) -> str:
        return str(conninfo_to_dict(self.conninfos[shard + 1])["dbname"])

    def everywhere(self, statement: str) -> None:
        for connection in (self.asked, *self.shards):
            run(connection, statement)

    def as_reader(self) -> psycopg.Connection:
        return psycopg.connect(as_role(self.conninfos[0], self.role), autocommit=True)


@pytest.fixture
def cluster(
    server: Server,
    installed: NoopExecutor,
    new_database: Callable[..., str],
    new_role: Callable[[], str],
) -> Iterator[Cluster]:
    needs(server, "dblink", "postgres_fdw")
    conninfos = [new_database(installed.template_dbname) for _ in range(3)]
    with ExitStack() as stack:
        asked, *shards = (
            stack.enter_context(psycopg.connect(conninfo, autocommit=True))
            for conninfo in conninfos
        )
        ((sockets, port),) = run(
            asked, "SELECT current_setting('unix_socket_directories'), current_setting('port')"
        )
        yield Cluster(asked, shards, conninfos, sockets.split(",")[0], port, new_role())


def page_blocks(heading: str) -> list[tuple[str, str]]:
    """The SQL of a section of docs/shards.md: where it is run, and the statement."""
    section = re.search(rf"(?ms)^## {heading}$(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"))
    assert section
    found = re.findall(r"(?ms)^```sql\n-- on ([^\n]*)\n(.*?)^```", section[1])
    assert found
    return found


def written(cluster: Cluster, statement: str) -> str:
    """A statement of the page, with the names that hold here in place of those of the page."""
    for shard, name in enumerate(("first", "second")):
        statement = statement.replace(f"dbname={name}", f"dbname={cluster.database(shard)}")
        statement = statement.replace(f"dbname '{name}'", f"dbname '{cluster.database(shard)}'")
    for name in ("reader", "secret"):
        statement = statement.replace(f"'{name}'", f"'{cluster.role}'")
    statement = re.sub(r"host=shard-\d", f"host={cluster.host} port={cluster.port}", statement)
    return re.sub(r"host 'shard-\d'", f"host '{cluster.host}', port '{cluster.port}'", statement)


class TestProxy:
    """PL/Proxy needs nothing but search_shard."""

    def test_the_recipe_finds_the_best_of_all_shards(
        self, server: Server, cluster: Cluster
    ) -> None:
        needs(server, "plproxy")
        *made, (_, search) = page_blocks("Through a proxy")
        for where, statement in made:
            for connection in cluster.shards if where == "each shard" else [cluster.asked]:
                run(connection, written(cluster, statement))
        for number, shard in enumerate(cluster.shards):
            run(shard, f"GRANT SELECT ON notes TO {cluster.role}")
            insert = "INSERT INTO notes SELECT i * 2 + %s, l, ARRAY[format('[%%s,%%s,0]',"
            insert += " cos(i), sin(i))::vector(3)] FROM generate_series(1, 9) i,"
            insert += " LATERAL (SELECT CASE WHEN mod(i, 3) = 0 THEN 'de' ELSE 'en' END) t (l)"
            run(shard, insert, number)
        found = run(cluster.asked, search)
        best = sorted(
            (
                (int(key), score)
                for shard in cluster.shards
                for key, score in run(
                    shard,
                    "SELECT * FROM colbert.search('notes', '{\"[1,0,0]\"}', filter => %s)",
                    "lang = 'en'",
                )
            ),
            key=lambda row: (-row[1], row[0]),
        )
        assert found == best[:3]
        assert {key % 2 for key, _ in found} == {0, 1}
        run(cluster.shards[1], f"REVOKE SELECT ON notes FROM {cluster.role}")
        with pytest.raises(psycopg.Error, match="permission denied"):
            run(cluster.asked, search)
