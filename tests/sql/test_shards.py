"""Search over shards: databases of one server, reached as other servers are.

Most of it takes dblink and postgres_fdw, which the servers from PyPI lack: there it is skipped.
docs/shards.md is run here, too.
"""

import json
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from pytest_postgresql.executors import NoopExecutor

from colbert_pg.client import Client
from tests.servers import REPOSITORY, Server, as_role
from tests.sql.documents import (
    AB,
    A,
    B,
    Documents,
    Matrix,
    Row,
    hint,
    insert,
    keys,
    primary,
    refusal,
    run,
    search,
    texts,
    unit,
    unit_documents,
)
from tests.sql.lifelike import DIMENSIONS, lifelike
from tests.waiting import wait_for

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

    def partition(
        self, key: str = "bigint", more: str = ", lang text DEFAULT 'en'", dimensions: int = 3
    ) -> None:
        """Table documents: a partition on each shard and one here; table one, to compare with."""
        columns = f"(id {key} NOT NULL, embeddings vector({dimensions})[]{more})"
        for shard in self.shards:
            run(shard, f"CREATE TABLE documents {columns}")
            run(shard, "ALTER TABLE documents ADD PRIMARY KEY (id)")
            run(shard, f"GRANT SELECT ON documents TO {self.role}")
        run(
            self.asked,
            "CREATE EXTENSION postgres_fdw; CREATE EXTENSION dblink;"
            f"CREATE TABLE documents {columns} PARTITION BY HASH (id);"
            "CREATE TABLE documents_0 PARTITION OF documents (PRIMARY KEY (id))"
            " FOR VALUES WITH (MODULUS 3, REMAINDER 0);"
            f"CREATE TABLE one {columns}; ALTER TABLE one ADD PRIMARY KEY (id);"
            f"GRANT SELECT ON documents, documents_0, one TO {self.role}",
        )
        for number in (1, 2):
            run(
                self.asked,
                f"CREATE SERVER shard_{number} FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host"
                f" '{self.host}', port '{self.port}', dbname '{self.database(number - 1)}');"
                f"CREATE FOREIGN TABLE documents_{number} PARTITION OF documents FOR VALUES WITH"
                f" (MODULUS 3, REMAINDER {number}) SERVER shard_{number}"
                " OPTIONS (schema_name 'public', table_name 'documents');"
                f"CREATE USER MAPPING FOR postgres SERVER shard_{number} OPTIONS (user 'postgres');"
                f"CREATE USER MAPPING FOR {self.role} SERVER shard_{number}"
                f" OPTIONS (user '{self.role}', password '{self.role}');"
                f"GRANT USAGE ON FOREIGN SERVER shard_{number} TO {self.role}",
            )

    def index(self, method: str = "exact") -> None:
        """An index on every shard, by one call, and one on the table to compare with."""
        run(
            self.asked,
            f"SELECT colbert.create_index('documents', method => '{method}', key => 'id',"
            """ options => '{"create_on_shards": true}')""",
        )
        run(self.asked, f"SELECT colbert.create_index('one', method => '{method}')")

    def index_again(self) -> None:
        run(self.asked, "SELECT colbert.create_index('documents', key => 'id')")

    def load(self, documents: Documents) -> None:
        for table in ("documents", "one"):
            insert(self.asked, documents, table)

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
    for name in ("reader", "secret", "owner", "word"):
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

    @pytest.mark.parametrize("bound", ["tcp_user_timeout=400", "connect_timeout=1"])
    def test_tcp_user_timeout_bounds_a_host_that_drops_packets(
        self, server: Server, cluster: Cluster, bound: str
    ) -> None:
        needs(server, "plproxy")
        with silent_host(drops=True) as port:
            run(
                cluster.asked,
                "CREATE EXTENSION plproxy; CREATE SERVER notes FOREIGN DATA WRAPPER plproxy OPTIONS"
                f" (p0 'host=127.0.0.1 port={port} dbname=first {bound}');"
                "CREATE USER MAPPING FOR PUBLIC SERVER notes OPTIONS (user 'reader');"
                "CREATE FUNCTION ask(request text) RETURNS SETOF text LANGUAGE plproxy AS"
                " $$ CLUSTER 'notes'; RUN ON ALL; TARGET colbert.search_shard; $$",
            )
            run(cluster.asked, "SET statement_timeout = 3000")
            with pytest.raises(psycopg.Error) as raised:
                run(cluster.asked, "SELECT * FROM ask('')")
        bounded = "timed out" in primary(raised.value)
        assert bounded == bound.startswith("tcp_user_timeout")
        assert bounded or raised.value.sqlstate == "57014"  # ended by statement_timeout


QUERY = unit(np.random.default_rng(3), 5, 3)
SEARCH = """SELECT * FROM colbert.search('documents', '{"[1,0,0]"}')"""


def both(connection: psycopg.Connection, more: str = "", query: Matrix = QUERY) -> list[list[Row]]:
    """What a search over the shards finds, and the same search of the one table."""
    return [search(connection, query, more, name=name) for name in ("documents", "one")]


@pytest.fixture
def loaded(cluster: Cluster, rng: np.random.Generator) -> Cluster:
    """A hundred documents over three shards with exact indexes, and in one table."""
    cluster.partition()
    cluster.index()
    cluster.load(unit_documents(rng, 100))
    return cluster


def others(shard: psycopg.Connection) -> list[int]:
    """The sessions that dblink has on a shard; postgres_fdw calls its own by its name."""
    statement = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
    statement += " AND query LIKE '%%search_shard%%' AND pid <> pg_backend_pid()"
    return keys(run(shard, statement))


class TestSearch:
    """The same rows, order and scores as one server."""

    @pytest.mark.parametrize("method", ["exact", "plaid"])
    def test_finds_what_one_table_finds(
        self, cluster: Cluster, rng: np.random.Generator, method: str
    ) -> None:
        cluster.partition(more=", lang text DEFAULT 'en', content text")
        cluster.index(method)
        cluster.load(unit_documents(rng, 60))
        for table in ("documents", "one"):
            run(cluster.asked, f"UPDATE {table} SET lang = 'de' WHERE mod(id, 3) = 0")
        for more in (
            "",
            ", exact => true",
            ", k => 37",
            ", k => 100, min_score => 0.5",
            """, k => 7, filter => 'lang = params->>''l''', params => '{"l": "de"}'""",
            ", filter => 'id %% 7 = 0 AND content IS NULL'",
            ", key => NULL::text, k => 5",
        ):
            found, expected = both(cluster.asked, more)
            assert found == expected != [], more

    @pytest.mark.parametrize("method", ["exact", "plaid", "hnsw"])
    def test_candidates_come_from_the_first_stage_of_each_shard(
        self, cluster: Cluster, rng: np.random.Generator, method: str
    ) -> None:
        cluster.partition(more=", pooled vector(3)[]")
        stage = """'{}', options => '{{"first_stage": "pooled"}}'"""
        for name in ("documents", "one"):
            error = refusal(
                cluster.asked, f"SELECT colbert.create_index({stage.format(name)}, key => 'id')"
            )
            assert "cannot be a first stage: it has no index" in primary(error)
        create = "SELECT colbert.create_index('documents', {}, key => 'id')"
        run(
            cluster.asked,
            create.format(f"""'pooled', '{method}', options => '{{"create_on_shards": true}}'"""),
        )
        both_options = """options => '{"first_stage": "pooled", "create_on_shards": true}'"""
        run(cluster.asked, create.format(both_options))
        run(cluster.asked, f"SELECT colbert.create_index('one', 'pooled', '{method}')")
        run(cluster.asked, f"SELECT colbert.create_index({stage.format('one')})")
        for table in ("documents", "one"):
            run(
                cluster.asked,
                f"INSERT INTO {table} SELECT i, v, v[1:1] FROM generate_series(1, 60) i,"
                " LATERAL (SELECT ARRAY[format('[%s,%s,0]', cos(i), sin(i)),"
                " format('[0,%s,%s]', cos(i), sin(i))]::vector(3)[] AS v) v",
            )
        for connection in (cluster.asked, *cluster.shards):
            methods = run(connection, "SELECT method, state FROM colbert.indexes")
            assert ("staged", "ready") in methods
        for more in ("", ", exact => true", ", k => 37", ", filter => 'id %% 7 = 0'"):
            found, expected = both(cluster.asked, more)
            assert found == expected != [], more
        assert run(cluster.asked, "SELECT * FROM colbert.check_index('documents')") == []
        error = refusal(cluster.asked, "UPDATE documents SET pooled = NULL")
        assert error.sqlstate == "23514"
        error = refusal(cluster.asked, "SELECT colbert.drop_index('documents', 'pooled')")
        assert error.sqlstate == "2BP01"
        for column in ("embeddings", "pooled"):
            run(
                cluster.asked,
                f"SELECT colbert.drop_index('documents', '{column}', on_shards => true)",
            )
        assert run(cluster.shards[0], "SELECT FROM colbert.indexes") == []

    @pytest.mark.parametrize(
        ("key", "form", "values"),
        [
            ("smallint", "", [9, 10, 11, 12, 100, 101]),
            (
                "uuid",
                ", key => NULL::uuid",
                [f"0000000{i}-{'0000-' * 3}{'0' * 12}" for i in range(6)],
            ),
            ("varchar(20)", ", key => NULL::text", ["a", "B", "c'\"", "ä%s", "\\", "%L"]),
            ("date", ", key => NULL::text", [f"2026-0{i}-01" for i in range(1, 7)]),
            ("numeric", ", key => NULL::text", ["1.10", "9", "10", "11.5", "-3", "20"]),
        ],
    )
    def test_keys_of_every_type(
        self, cluster: Cluster, key: str, form: str, values: list[Any]
    ) -> None:
        cluster.partition(key)
        cluster.index()
        cluster.load(dict.fromkeys(values, AB))
        found, expected = both(cluster.asked, form, A)
        assert found == expected
        assert len(found) == 6
        ids = "bigint" if key == "smallint" else "uuid" if key == "uuid" else "text"
        rerank = f"SELECT * FROM colbert.rerank('{{}}', '{{{{\"[1,0,0]\"}}}}', %s::{ids}[])"
        scored = [run(cluster.asked, rerank.format(name), values) for name in ("documents", "one")]
        assert scored[0] == scored[1] == found

    def test_knobs_search_path_and_time_zone_go_along(self, loaded: Cluster) -> None:
        for connection in (loaded.asked, *loaded.shards):
            run(
                connection,
                "CREATE SCHEMA elsewhere; CREATE FUNCTION elsewhere.wanted(bigint) RETURNS boolean"
                " LANGUAGE sql RETURN current_setting('TimeZone') = 'Asia/Tokyo'"
                " AND current_setting('colbert.effort', true) = '3' AND $1 < 50",
            )
        run(loaded.asked, "SET search_path = public, elsewhere; SET TimeZone = 'Asia/Tokyo'")
        run(loaded.asked, "SET colbert.effort = 3")
        found, expected = both(loaded.asked, ", filter => 'wanted(id)', k => 40")
        assert found == expected
        assert len(found) == 40
        run(loaded.asked, "SET colbert.patience = 'little'")
        error = refusal(loaded.asked, SEARCH)
        assert "patience must be a whole number" in primary(error)

    def test_rerank_and_the_join_back_read_the_rows_that_are_named(self, loaded: Cluster) -> None:
        call = "SELECT * FROM colbert.rerank('{}', %s::text[]::vector[], %s::bigint[], 5)"
        ids = list(range(20, 60))
        reranked = run(loaded.asked, call.format("documents"), texts(QUERY), ids)
        assert reranked == run(loaded.asked, call.format("one"), texts(QUERY), ids) != []
        joined = "WITH s AS MATERIALIZED (SELECT * FROM colbert.search('documents',"
        joined += " %s::text[]::vector[])) SELECT d.id, d.lang FROM s JOIN documents d"
        joined += " ON d.id = s.doc_id AND d.id = ANY (ARRAY(SELECT doc_id FROM s))"
        joined += " ORDER BY s.score DESC, d.id"
        rows = run(loaded.asked, joined, texts(QUERY))
        assert rows == [(key, "en") for key in keys(search(loaded.asked, QUERY))]
        plan = run(loaded.asked, f"EXPLAIN (VERBOSE, COSTS OFF) {joined}", texts(QUERY))
        remote = [line for (line,) in plan if "Remote SQL" in line]
        assert len(remote) == 2
        assert all("= ANY" in line for line in remote)

    def test_writes_through_the_parent_are_indexed_on_their_shards(self, loaded: Cluster) -> None:
        on_foreign = "SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        on_foreign += " WHERE c.relname LIKE 'documents%%' AND c.relkind IN ('f', 'p')"
        assert run(loaded.asked, on_foreign) == [(0,)]
        document = "{" + ",".join(f'"{text}"' for text in texts(AB)) + "}"
        copy_from = b"COPY documents (id, embeddings) FROM STDIN"
        with loaded.asked.cursor() as cursor, cursor.copy(copy_from) as copy:
            for key in range(201, 221):
                copy.write_row((key, document))
        run(loaded.asked, "DELETE FROM documents WHERE id < 150")
        assert keys(search(loaded.asked, A, ", k => 30")) == list(range(201, 221))
        for shard in loaded.shards:
            assert run(shard, "SELECT * FROM colbert.check_index('documents')") == []
            assert run(shard, "SELECT count(*) > 0 FROM documents") == [(True,)]
        for key in range(301, 307):  # on all shards
            error = refusal(
                loaded.asked, f"""INSERT INTO documents VALUES ({key}, '{{"[0.5,0,0]"}}')"""
            )
            assert "token 1 has length 0.5000" in primary(error)


class TestEffort:
    """A shard that has a share of the documents at random does as much less."""

    def counts(
        self, connection: psycopg.Connection, name: str, query: Matrix, k: int
    ) -> tuple[int, int]:
        explain = f"SELECT * FROM colbert.explain_search('{name}', %s::text[]::vector[], k => %s)"
        stages = run(connection, explain, texts(query), k)
        scored = sum(row[1] for row in stages if row[0] in ("scores", "all"))
        return scored, sum(row[4] or 0 for row in stages)

    def test_all_shards_together_read_as_much_as_one_table_and_find_as_much(
        self, cluster: Cluster
    ) -> None:
        collection = lifelike()
        queries = collection.queries[:16]
        cluster.partition(dimensions=DIMENSIONS)
        cluster.load(collection.documents)
        cluster.index("plaid")
        for shard in (cluster.asked, *cluster.shards):
            run(shard, "ANALYZE")
        names = [("documents_0", cluster.asked), *(("documents", s) for s in cluster.shards)]
        for k in (10, 100):
            found = {"documents": 0, "one": 0}
            for query in queries:
                best = collection.best(query, range(1, len(collection.documents) + 1))[k - 1]
                for name in found:
                    rows = search(cluster.asked, query, f", k => {k}", name=name)
                    found[name] += sum(score >= best - 1e-4 for _, score in rows)
            assert found["documents"] >= 0.97 * found["one"]
            assert found["documents"] > 0.9 * k * len(queries)

            done = {}
            for share in (1, 1 / 3):
                every = []
                for name, shard in names:
                    run(shard, f"SET colbert.share = {share:.6f}")
                    every += [self.counts(shard, name, query, k) for query in queries]
                done[share] = [sum(counts) for counts in zip(*every, strict=True)]
            run(cluster.asked, "RESET colbert.share")
            one = [self.counts(cluster.asked, "one", query, k) for query in queries]
            read = sum(read for _, read in one)
            # Without, sqrt(3) times as much. Each reads centroids and looks candidates up.
            assert done[1 / 3][1] < 1.4 * read < done[1][1]
            assert done[1 / 3][1] < 0.8 * done[1][1]
            assert done[1 / 3][0] <= done[1][0]
        told = ", filter => 'current_setting(''colbert.share'', true) = ''0.333333'''"
        assert len(search(cluster.asked, queries[0], told)) == 10
        assert search(cluster.asked, queries[0], f"{told}, exact => true") == []

        # A shard that has all of them stops too early for k. It is asked again.
        run(cluster.shards[1], "DELETE FROM documents")
        run(cluster.asked, "DELETE FROM documents_0; SET colbert.patience = 1")
        assert len(search(cluster.asked, queries[0], ", k => 100")) == 100


class TestConnections:
    def test_are_kept_and_opened_anew_when_they_are_dead(self, loaded: Cluster) -> None:
        expected = search(loaded.asked, QUERY, name="one")
        assert search(loaded.asked, QUERY) == expected
        [before] = others(loaded.shards[1])
        assert search(loaded.asked, QUERY) == expected
        assert others(loaded.shards[1]) == [before]
        run(loaded.shards[1], "SELECT pg_terminate_backend(%s, 60000)", before)
        assert search(loaded.asked, QUERY) == expected
        [after] = others(loaded.shards[1])
        assert after != before

    def test_never_serve_another_role(self, loaded: Cluster) -> None:
        search(loaded.asked, QUERY)
        run(loaded.shards[0], f"REVOKE SELECT ON documents FROM {loaded.role}")
        run(loaded.asked, f"SET ROLE {loaded.role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as raised:
            run(loaded.asked, SEARCH)
        assert primary(raised.value).endswith("permission denied for table documents")
        run(loaded.shards[0], f"GRANT SELECT ON documents TO {loaded.role}")
        assert len(run(loaded.asked, SEARCH)) == 10
        run(loaded.asked, "RESET ROLE")
        # The two of the superuser: those of the other role were closed.
        assert len(run(loaded.asked, "SELECT unnest(dblink_get_connections())")) == 2
        assert len(run(loaded.asked, SEARCH)) == 10

    def test_follow_a_mapping_that_is_changed(self, loaded: Cluster) -> None:
        search(loaded.asked, QUERY)
        run(
            loaded.asked,
            "ALTER USER MAPPING FOR postgres SERVER shard_1"
            f" OPTIONS (SET user '{loaded.role}', ADD password 'wrong')",
        )
        error = refusal(loaded.asked, SEARCH)
        assert error.sqlstate == "08001"
        assert 'server "shard_1"' in primary(error)
        assert "password authentication failed" in primary(error)
        assert "user mapping" in hint(error)


class TestRights:
    def test_a_reader_needs_select_usage_and_a_mapping(self, loaded: Cluster) -> None:
        role = loaded.role
        with loaded.as_reader() as reader:
            assert run(reader, SEARCH) == search(loaded.asked, A)
            run(loaded.asked, f"REVOKE SELECT ON documents FROM {role}")
            assert primary(refusal(reader, SEARCH)) == "permission denied for table documents"
            run(loaded.asked, f"GRANT SELECT ON documents TO {role}")
            run(loaded.asked, f"REVOKE USAGE ON FOREIGN SERVER shard_2 FROM {role}")
        with loaded.as_reader() as reader:
            error = refusal(reader, SEARCH)
            assert 'server "shard_2": permission denied for foreign server' in primary(error)
            assert "needs USAGE on the server" in hint(error)
            run(loaded.asked, f"GRANT USAGE ON FOREIGN SERVER shard_2 TO {role}")
            run(loaded.asked, f"DROP USER MAPPING FOR {role} SERVER shard_2")
            error = refusal(reader, SEARCH)
            assert "user mapping not found" in primary(error)
            assert hint(error).startswith("CREATE USER MAPPING FOR")

    def test_the_view_asks_for_the_owner_alone(self, loaded: Cluster) -> None:
        statement = "SELECT shard, server, state FROM colbert.shards ORDER BY 1"
        servers = (None, "shard_1", "shard_2")
        names = [(f"public.documents_{n}", server) for n, server in enumerate(servers)]
        assert run(loaded.asked, statement) == [(*name, "ready") for name in names]
        with loaded.as_reader() as reader:
            assert run(reader, statement) == [(*name, None) for name in names]
        run(loaded.shards[0], "SELECT colbert.drop_index('documents')")
        run(loaded.asked, "ALTER SERVER shard_2 OPTIONS (SET host '/nowhere')")
        states = run(loaded.asked, "SELECT state, advice FROM colbert.shards ORDER BY shard::text")
        assert keys(states) == ["ready", "missing", "unreachable"]
        assert "Run there: SELECT colbert.create_index" in states[1][1]


def check(connection: psycopg.Connection, more: str = "") -> list[Row]:
    return run(connection, f"SELECT * FROM colbert.check_index('documents'{more})")


def damage(shard: psycopg.Connection, key: int) -> None:
    """Change a document behind its index."""
    run(
        shard,
        "SET session_replication_role = replica;"
        f"""UPDATE documents SET embeddings = '{{"[0,0,1]"}}' WHERE id = {key};"""
        "RESET session_replication_role",
    )


class TestUpkeep:
    """What works on the index of one table works on those of all shards."""

    def test_check_names_the_shard_and_repair_mends_it(
        self, cluster: Cluster, rng: np.random.Generator
    ) -> None:
        cluster.partition()
        cluster.index("plaid")
        cluster.load(unit_documents(rng, 60))
        assert check(cluster.asked) == []
        damaged = {}
        for number, shard in enumerate(cluster.shards, 1):
            [(key,)] = run(shard, "SELECT min(id) FROM documents")
            damage(shard, key)
            damaged[str(key)] = f'shard "public.documents_{number}" on server "shard_{number}"'
        [(local,)] = run(cluster.asked, "SELECT min(id) FROM documents_0")
        run(cluster.asked, "ALTER TABLE documents_0 DISABLE TRIGGER USER")
        run(cluster.asked, f"DELETE FROM documents_0 WHERE id = {local}")
        run(cluster.asked, "ALTER TABLE documents_0 ENABLE TRIGGER USER")
        damaged[str(local)] = 'shard "public.documents_0"'
        found = check(cluster.asked)
        assert {key: detail.split(":")[0] for problem, key, detail in found} == damaged
        assert {problem for problem, _, _ in found} == {"stale document", "orphaned document"}
        assert run(cluster.asked, "SELECT colbert.repair_index('documents')") == [(3,)]
        assert check(cluster.asked) == []

    @pytest.mark.parametrize(
        ("key", "here", "there"), [("bigint", "7", "7"), ("numeric", "1.10", "1.1")]
    )
    def test_check_finds_a_key_that_two_shards_hold(
        self, cluster: Cluster, key: str, here: str, there: str
    ) -> None:
        cluster.partition(key)
        cluster.index()
        for value, shard in zip((here, there), cluster.shards, strict=True):
            run(shard, f"DELETE FROM documents; INSERT INTO documents VALUES ({value}, NULL)")
        names = [f'shard "public.documents_{n}" on server "shard_{n}"' for n in (1, 2)]
        expected = [("duplicate key", there, f"held by {names[0]} and {names[1]}")]
        assert check(cluster.asked) == expected
        # Of many keys, and of a sample, those with the same hash are compared at a time.
        found = "SELECT d.* FROM colbert._index i, colbert._duplicate_keys(i, ARRAY("
        found += "SELECT s FROM colbert._shards_of(i.source) s), 9e6, 1) d WHERE method = 'shards'"
        assert run(cluster.asked, found) == expected
        run(cluster.shards[1], "DELETE FROM documents")
        assert check(cluster.asked, ", sample => 0.1") == []

    def test_check_finds_a_key_that_two_shards_hold_for_the_same_tenant(
        self, cluster: Cluster
    ) -> None:
        cluster.partition(more=", tenant smallint NOT NULL DEFAULT 1")
        for shard in (cluster.asked, *cluster.shards):
            name = "documents_0" if shard is cluster.asked else "documents"
            run(shard, f"ALTER TABLE {name} DROP CONSTRAINT {name}_pkey, ADD UNIQUE (tenant, id)")
        run(
            cluster.asked,
            """SELECT colbert.create_index('documents', key => 'id',
                 options => '{"tenant": "tenant", "create_on_shards": true}')""",
        )
        for shard, tenant in zip(cluster.shards, (1, 2), strict=True):
            run(shard, f"INSERT INTO documents VALUES (7, NULL, {tenant}), (8, NULL, {tenant})")
        assert check(cluster.asked) == []
        run(cluster.shards[1], "INSERT INTO documents VALUES (8, NULL, 1)")
        names = [f'shard "public.documents_{n}" on server "shard_{n}"' for n in (1, 2)]
        detail = f"of tenant 1, held by {names[0]} and {names[1]}"
        assert check(cluster.asked) == [("duplicate key", "8", detail)]

    def test_check_reads_keys_and_no_arrays(
        self, cluster: Cluster, rng: np.random.Generator
    ) -> None:
        cluster.partition()
        cluster.index()
        run(cluster.shards[0], f"REVOKE SELECT ON documents FROM {cluster.role}")
        run(cluster.shards[0], f"GRANT SELECT (id) ON documents TO {cluster.role}")
        cluster.load(unit_documents(rng, 30))
        with psycopg.connect(as_role(cluster.conninfos[1], cluster.role)) as reader:
            [(answer,)] = run(reader, "SELECT colbert.call_shard('public.documents', 'keys')")
        assert answer == [str(key) for (key,) in run(cluster.shards[0], "SELECT id FROM documents")]

    def test_check_names_an_index_that_is_missing(self, loaded: Cluster) -> None:
        run(loaded.shards[1], "SELECT colbert.drop_index('documents')")
        [(problem, key, detail)] = check(loaded.asked)
        assert (problem, key) == ("shard", None)
        assert detail.startswith('shard "public.documents_2" on server "shard_2": table public.')
        assert "Run there: SELECT colbert.create_index" in detail
        error = refusal(loaded.asked, "SELECT colbert.repair_index('documents')")
        assert primary(error).startswith('shard "public.documents_2" on server "shard_2": ')

    def test_reindex_builds_every_shard_anew(
        self, cluster: Cluster, rng: np.random.Generator
    ) -> None:
        cluster.partition()
        cluster.index("plaid")
        cluster.load(unit_documents(rng, 60))
        table = "SELECT min(id), count(*) FROM documents_embeddings_centroids"
        before = [run(shard, table) for shard in cluster.shards]
        run(cluster.asked, "SELECT colbert.reindex('documents')")
        after = [run(shard, table) for shard in cluster.shards]
        assert all(old != new for old, new in zip(before, after, strict=True))
        assert check(cluster.asked) == []
        run(cluster.asked, "SELECT colbert.reindex('documents', retrain => false)")
        assert [run(shard, table) for shard in cluster.shards] == after
        found, expected = both(cluster.asked)
        assert found == expected

    def test_drop_index_reaches_other_servers_where_it_is_told(self, loaded: Cluster) -> None:
        indexes = "SELECT count(*) FROM colbert.indexes WHERE source = 'documents'::regclass"
        run(loaded.asked, "SELECT colbert.drop_index('documents')")
        assert [run(shard, indexes) for shard in loaded.shards] == [[(1,)], [(1,)]]
        loaded.index_again()
        run(loaded.shards[0], "SELECT colbert.drop_index('documents')")  # gone already
        Client(loaded.asked).drop_index("documents", on_shards=True)
        assert [run(shard, indexes) for shard in loaded.shards] == [[(0,)], [(0,)]]
        assert run(loaded.asked, "SELECT source::text FROM colbert.indexes") == [("one",)]

    def test_the_mapped_role_needs_its_own_rights(self, loaded: Cluster) -> None:
        run(loaded.asked, f"ALTER TABLE documents OWNER TO {loaded.role}")
        run(loaded.asked, f"ALTER TABLE documents_0 OWNER TO {loaded.role}")
        with loaded.as_reader() as owner:
            error = refusal(owner, "SELECT colbert.check_index('documents')")
            assert error.sqlstate == "42501"
            assert primary(error) == (
                'shard "public.documents_1" on server "shard_1":'
                " must be owner of table public.documents"
            )
        with loaded.as_reader() as reader:
            run(loaded.asked, "ALTER TABLE documents OWNER TO postgres")
            error = refusal(reader, "SELECT colbert.check_index('documents')")
            assert primary(error) == "must be owner of table public.documents"

    def test_a_shard_that_is_down_is_named_or_left_out_of_a_check(self, loaded: Cluster) -> None:
        run(loaded.asked, "ALTER SERVER shard_1 OPTIONS (SET host '/nowhere')")
        for call in ("check_index", "repair_index"):
            error = refusal(loaded.asked, f"SELECT colbert.{call}('documents')")
            assert error.sqlstate == "08001"
            assert 'on server "shard_1"' in primary(error)
        run(loaded.asked, "SET colbert.shards = 'reachable'")
        assert check(loaded.asked) == []
        assert run(loaded.asked, "SELECT colbert.repair_index('documents')") == [(0,)]

    def test_a_shard_without_call_shard_is_named(self, loaded: Cluster) -> None:
        run(loaded.shards[1], "ALTER FUNCTION colbert.call_shard RENAME TO call_shard_of_another")
        error = refusal(loaded.asked, "SELECT colbert.check_index('documents')")
        assert 'on server "shard_2": function colbert.call_shard' in primary(error)
        assert "Install colbert_pg on the shard, in the same version" in hint(error)


class TestByKey:
    """maxsim and maxsim_matches of a document, wherever it is."""

    def test_answer_as_one_table(self, loaded: Cluster) -> None:
        calls = (
            "SELECT colbert.maxsim(%s::text[]::vector[], %s::bigint, '{}')",
            "SELECT * FROM colbert.maxsim_matches(%s::text[]::vector[], %s::bigint, '{}')",
        )
        for key in (*range(1, 13), 1000, None):
            for call in calls:
                rows = [
                    run(loaded.asked, call.format(name), texts(QUERY), key)
                    for name in ("documents", "one")
                ]
                assert rows[0] == rows[1], key

    def test_answer_in_a_parallel_worker(self, loaded: Cluster) -> None:
        """Which opens connections of its own."""
        every = (
            """SELECT id, colbert.maxsim('{"[1,0,0]"}', id, 'documents') FROM one WHERE id < 9"""
        )
        alone = run(loaded.asked, every)
        run(loaded.asked, "SET debug_parallel_query = on")
        assert "Gather" in run(loaded.asked, f"EXPLAIN {every}")[0][0]
        assert run(loaded.asked, every) == alone

    def test_need_the_rights_of_a_search(self, loaded: Cluster) -> None:
        maxsim = """SELECT colbert.maxsim('{"[1,0,0]"}', 1, 'documents')"""
        with loaded.as_reader() as reader:
            assert run(reader, maxsim) == run(loaded.asked, maxsim)
            run(loaded.asked, f"REVOKE SELECT ON documents FROM {loaded.role}")
            assert primary(refusal(reader, maxsim)) == "permission denied for table documents"
        error = refusal(loaded.asked, maxsim.replace("[1,0,0]", "[1,0]"))
        assert error.sqlstate == "22000"


@contextmanager
def silent_host(*, drops: bool = False) -> Iterator[str]:
    """The port of a host that never answers: it takes connections, or drops their first packets."""
    with ExitStack() as stack:
        host = stack.enter_context(
            socket.create_server(("127.0.0.1", 0), backlog=0 if drops else 9)
        )
        for _ in range(4 if drops else 0):  # more than wait in the line of the system
            held = stack.enter_context(socket.socket())
            held.setblocking(False)
            held.connect_ex(host.getsockname())
        yield str(host.getsockname()[1])


def move(cluster: Cluster, port: str, more: str = "") -> None:
    """Let the first shard be at a port of this machine."""
    run(
        cluster.asked,
        f"ALTER SERVER shard_1 OPTIONS (SET host '127.0.0.1', SET port '{port}'{more})",
    )


class TestFailures:
    def test_a_shard_that_is_down_is_named_or_left_out(self, loaded: Cluster) -> None:
        whole = search(loaded.asked, A, ", k => 100")
        run(loaded.asked, "ALTER SERVER shard_1 OPTIONS (SET host '/nowhere')")
        error = refusal(loaded.asked, SEARCH)
        assert error.sqlstate == "08001"
        assert primary(error).startswith('shard "public.documents_1" on server "shard_1": ')
        assert "SET colbert.shards = 'reachable'" in hint(error)
        warnings: list[str] = []
        loaded.asked.add_notice_handler(lambda said: warnings.append(said.message_primary or ""))
        run(loaded.asked, "SET colbert.shards = 'reachable'")
        missing = set(keys(run(loaded.shards[0], "SELECT id FROM documents")))
        rest = [row for row in whole if row[0] not in missing]
        assert search(loaded.asked, A, ", k => 100") == rest != whole
        [warning] = warnings
        assert warning.startswith('shard "public.documents_1" on server "shard_1" is left out: ')
        run(loaded.shards[1], "ALTER TABLE documents RENAME TO away")
        error = refusal(loaded.asked, SEARCH)  # it is reached, and broken
        assert 'relation "public.documents" does not exist' in primary(error)
        run(loaded.shards[1], "ALTER TABLE away RENAME TO documents")
        run(loaded.asked, f"ALTER SERVER shard_1 OPTIONS (SET host '{loaded.host}')")
        run(loaded.asked, "SET colbert.shards = 'all'")
        assert search(loaded.asked, A, ", k => 100") == whole

    def test_statement_timeout_ends_the_search_of_a_hung_shard(self, loaded: Cluster) -> None:
        expected = search(loaded.asked, QUERY)
        with psycopg.connect(loaded.conninfos[1]) as holder:
            run(holder, "LOCK TABLE documents")
            run(loaded.asked, "SET statement_timeout = 300")
            with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
                search(loaded.asked, QUERY)
            run(loaded.asked, "SET statement_timeout = 0")
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            waiting += " AND datname = current_database()"
            wait_for(lambda: run(loaded.shards[0], waiting) == [(0,)], "the shard to give up")
        assert search(loaded.asked, QUERY) == expected

    def test_statement_timeout_ends_the_wait_for_a_silent_host(self, loaded: Cluster) -> None:
        with silent_host() as port:
            move(loaded, port)
            run(loaded.asked, "SET statement_timeout = 300")
            with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
                search(loaded.asked, QUERY)

    def test_a_cancel_ends_the_wait_for_a_silent_host(self, loaded: Cluster) -> None:
        pid = loaded.asked.info.backend_pid
        waits = "SELECT wait_event = 'DblinkConnect' FROM pg_stat_activity WHERE pid = %s"
        with (
            silent_host() as port,
            ThreadPoolExecutor(1) as pool,
            psycopg.connect(loaded.conninfos[0], autocommit=True) as other,
        ):
            move(loaded, port)
            searching = pool.submit(search, loaded.asked, QUERY)
            wait_for(lambda: run(other, waits, pid) == [(True,)], "the search to connect")
            run(other, "SELECT pg_cancel_backend(%s)", pid)
            with pytest.raises(psycopg.errors.QueryCanceled, match="user request"):
                searching.result()

    def test_tcp_user_timeout_bounds_a_host_that_drops_packets(self, loaded: Cluster) -> None:
        with silent_host(drops=True) as port:
            move(loaded, port, ", ADD tcp_user_timeout '400'")
            error = refusal(loaded.asked, SEARCH)
            assert error.sqlstate == "08001"
            assert 'server "shard_1": ' in primary(error)
            assert "timed out" in primary(error)
            run(loaded.asked, "SET colbert.shards = 'reachable'")
            assert len(search(loaded.asked, QUERY)) == 10

    def test_a_port_that_refuses_is_named(self, loaded: Cluster) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # nobody listens
            move(loaded, str(taken.getsockname()[1]))
            error = refusal(loaded.asked, SEARCH)
        assert error.sqlstate == "08001"
        assert 'server "shard_1": ' in primary(error)
        assert "Connection refused" in primary(error)

    def test_an_error_names_the_shard_that_has_it(self, loaded: Cluster) -> None:
        run(loaded.shards[0], "ALTER TABLE documents DROP COLUMN lang")
        statement = SEARCH.replace(")", ", filter => 'lang = ''en''')")
        error = refusal(loaded.asked, statement)
        assert error.sqlstate == "42703"
        assert primary(error).endswith('column "lang" does not exist')
        assert 'server "shard_1"' in primary(error)
        assert len(search(loaded.asked, QUERY)) == 10

    def test_a_partition_that_comes_later_is_not_left_out(self, loaded: Cluster) -> None:
        run(
            loaded.asked,
            "ALTER TABLE documents DETACH PARTITION documents_0;"
            "CREATE TABLE later PARTITION OF documents (PRIMARY KEY (id))"
            " FOR VALUES WITH (MODULUS 3, REMAINDER 0)",
        )
        assert "has no late-interaction index" in primary(refusal(loaded.asked, SEARCH))
        run(loaded.asked, "SELECT colbert.create_index('later')")
        assert len(run(loaded.asked, SEARCH)) == 10


class TestCreation:
    def test_an_index_that_a_shard_lacks_is_named(self, cluster: Cluster) -> None:
        cluster.partition()
        create = "SELECT colbert.create_index('documents', key => 'id')"
        error = refusal(cluster.asked, create)
        assert primary(error).startswith('shard "public.documents_1" on server "shard_1": table')
        for shard in cluster.shards:
            run(shard, hint(error).removeprefix("Run there: ").partition(";")[0])
        run(cluster.asked, create)
        insert(cluster.asked, {1: A, 2: B, 3: AB})
        assert keys(search(cluster.asked, A)) == [1, 3, 2]
        run(cluster.asked, "SELECT colbert.drop_index('documents')")
        assert run(cluster.asked, "SELECT source::text FROM colbert.indexes") == []
        assert run(cluster.shards[0], "SELECT count(*) FROM colbert.indexes") == [(1,)]

    def test_a_server_whose_silence_nothing_bounds_is_told_of(self, cluster: Cluster) -> None:
        cluster.partition()
        told: list[tuple[str | None, str | None]] = []
        cluster.asked.add_notice_handler(
            lambda said: told.append((said.message_primary, said.message_hint))
        )
        note = "SELECT colbert._note_unbounded_servers(ARRAY(SELECT s FROM"
        note += " colbert._shards_of('documents') s))"
        cluster.index()  # over sockets
        assert told == []
        for option in ("SET host 'shard-1'", "ADD tcp_user_timeout '3000'"):
            run(cluster.asked, f"ALTER SERVER shard_1 OPTIONS ({option})")
            run(cluster.asked, note)
        [(message, advice)] = told
        assert 'server "shard_1" has no tcp_user_timeout' in str(message)
        assert advice == "ALTER SERVER shard_1 OPTIONS (ADD tcp_user_timeout '3000')"

    def test_an_older_colbert_pg_is_named(self, cluster: Cluster) -> None:
        cluster.partition()
        shard = cluster.shards[1]
        run(cluster.shards[0], "SELECT colbert.create_index('documents')")
        run(shard, "DROP EXTENSION IF EXISTS colbert_pg; DROP SCHEMA IF EXISTS colbert CASCADE")
        create = "SELECT colbert.create_index('documents', key => 'id')"
        error = refusal(cluster.asked, create)
        assert hint(error) == "Install colbert_pg on the shard, in the same version."
        run(shard, "CREATE SCHEMA colbert")
        run(shard, "CREATE FUNCTION colbert.version() RETURNS text RETURN '0.2.0'")
        run(
            shard,
            "CREATE VIEW colbert.indexes AS SELECT 0::regclass AS source, ''::name AS embeddings",
        )
        error = refusal(cluster.asked, create)
        assert primary(error).endswith("it has colbert_pg 0.2.0, which has no search_shard")


class TestPage:
    """docs/shards.md, as it stands there but for hosts, databases and passwords."""

    def test_the_section_on_partitions_runs(self, cluster: Cluster) -> None:
        run(cluster.asked, f"ALTER ROLE {cluster.role} SUPERUSER")  # the owner of all that is made
        try:
            results = []
            for where, statement in page_blocks("Partitions on other servers"):
                for connection in cluster.shards if where == "each shard" else [cluster.asked]:
                    results.append(run(connection, written(cluster, statement)))
        finally:
            run(cluster.asked, f"ALTER ROLE {cluster.role} NOSUPERUSER")
        *_, found, joined, states, problems = results
        assert keys(found) == keys(joined) == [44, 25, 19]
        assert [state for _, _, state, _ in states] == ["ready"] * 3
        assert problems == []


@pytest.fixture
def parent(connection: psycopg.Connection) -> psycopg.Connection:
    """A table with a foreign partition that nobody can reach, entered as an index over shards."""
    run(
        connection,
        "CREATE FOREIGN DATA WRAPPER postgres_fdw; CREATE SERVER shard FOREIGN DATA WRAPPER"
        " postgres_fdw; CREATE TABLE documents (id bigint NOT NULL, embeddings vector(3)[])"
        " PARTITION BY HASH (id); CREATE FOREIGN TABLE documents_0 PARTITION OF documents"
        " FOR VALUES WITH (MODULUS 2, REMAINDER 0) SERVER shard; CREATE TABLE documents_1"
        " PARTITION OF documents (PRIMARY KEY (id)) FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
        "INSERT INTO colbert._index (source, embeddings, key, method, options, dimensions,"
        " table_names) VALUES ('documents', 'embeddings', 'id', 'shards', '{}', 3, '{}')",
    )
    return connection


class TestWithoutDblink:
    """What holds on every server."""

    @pytest.mark.parametrize(
        "call",
        [
            """search_parents('documents', '{"[1,0,0]"}', 'id')""",
            """hybrid_search('documents', '{"[1,0,0]"}', 'word')""",
            """explain_search('documents', '{"[1,0,0]"}')""",
            "measure_recall('documents')",
            "tune('documents')",
            """upsert('documents', 1, '{"[1,0,0]"}')""",
            "claim_pending('documents')",
        ],
    )
    def test_what_does_not_reach_shards_is_refused(
        self, parent: psycopg.Connection, call: str
    ) -> None:
        error = refusal(parent, f"SELECT * FROM colbert.{call}")
        assert error.sqlstate == "0A000"
        assert primary(error).endswith("are not reached by this")
        assert "colbert.shards" in hint(error)

    def test_a_search_without_dblink_says_so(self, parent: psycopg.Connection) -> None:
        error = refusal(parent, SEARCH)
        assert primary(error).endswith("the extension dblink, which is not installed")
        assert "CREATE EXTENSION dblink" in hint(error)

    def test_row_level_security_of_the_parent_is_refused(
        self, parent: psycopg.Connection, new_role: Callable[[], str]
    ) -> None:
        role = new_role()
        run(parent, "ALTER TABLE documents ENABLE ROW LEVEL SECURITY")
        run(parent, f"GRANT SELECT ON documents TO {role}; SET LOCAL ROLE {role}")
        error = refusal(parent, SEARCH)
        assert error.sqlstate == "0A000"
        assert hint(error).startswith("Put the policies on the tables of the shards")

    def test_the_setting_has_two_values(self, parent: psycopg.Connection) -> None:
        run(parent, "SET LOCAL colbert.shards = 'some'")
        assert primary(refusal(parent, SEARCH)) == (
            'colbert.shards must be all or reachable, not "some"'
        )

    def test_create_index_says_what_it_needs(self, parent: psycopg.Connection) -> None:
        create = "SELECT colbert.create_index('documents'{})"
        named = create.format(", key => 'id'{}")
        assert "and so no primary key" in primary(refusal(parent, create.format("")))
        error = refusal(parent, create.format(", key => 'no'"))
        assert (error.sqlstate, hint(error)[:15]) == ("42703", "Name the column")
        error = refusal(parent, named.format(""))
        assert "has a late-interaction index already" in primary(error)
        error = refusal(parent, named.format(""", options => '{"text": "id"}'"""))
        assert primary(error) == 'unknown option "text"'
        run(parent, "SELECT colbert.drop_index('documents')")
        error = refusal(parent, named.format(""))
        assert "the extension dblink, which is not installed" in primary(error)
        run(
            parent,
            "CREATE FOREIGN DATA WRAPPER other; CREATE SERVER far FOREIGN DATA WRAPPER other;"
            "ALTER TABLE documents DETACH PARTITION documents_0; CREATE FOREIGN TABLE file"
            " PARTITION OF documents FOR VALUES WITH (MODULUS 2, REMAINDER 0) SERVER far",
        )
        error = refusal(parent, named.format(""))
        assert primary(error).endswith("is a foreign table of other, not of postgres_fdw")

    @pytest.mark.parametrize(
        ("answer", "problem"),
        [
            ({"failure": "gone"}, "gone"),
            ({"searches": False, "version": "0.2.0"}, "it has colbert_pg 0.2.0"),
            ({"searches": True, "index": None}, "table public.documents_0 has no late-interaction"),
            ({"key": "other"}, 'its index has the key "other", not "id"'),
            ({"dimensions": 4}, "its index has 4 dimensions, not 3"),
            ({"options": {"model": "m"}}, 'its index is of model "m", not null'),
        ],
    )
    def test_an_index_that_does_not_fit_is_named(
        self, parent: psycopg.Connection, answer: dict[str, Any], problem: str
    ) -> None:
        if not {"failure", "searches"} & answer.keys():
            index = {"key": "id", "dimensions": 3, "options": {}} | answer
            answer = {"searches": True, "index": index}
        error = refusal(
            parent,
            "SELECT colbert._refuse_answer(i, s, %s) FROM colbert._index i,"
            " colbert._shards_of(i.source) s WHERE s.server IS NOT NULL",
            json.dumps(answer),
        )
        assert error.sqlstate == "55000"
        assert f'"public.documents_0" on server "shard": {problem}' in primary(error)
        assert hint(error)

    def test_a_shard_has_a_share_where_its_documents_are_there_by_the_hash_of_their_key(
        self, parent: psycopg.Connection
    ) -> None:
        share = "SELECT colbert._share_of_shards(i) FROM colbert._index i"
        assert run(parent, share) == [(0.5,)]
        run(
            parent,
            "ALTER TABLE documents DETACH PARTITION documents_1;"
            "CREATE TABLE documents_1a PARTITION OF documents (PRIMARY KEY (id))"
            " FOR VALUES WITH (MODULUS 4, REMAINDER 1)",
        )
        assert run(parent, share) == [(1,)]  # shares differ
        for by in ("LIST (id)", "HASH (lang)"):
            run(
                parent,
                "DROP TABLE documents; DELETE FROM colbert._index;"
                "CREATE TABLE documents (id bigint, lang text, embeddings vector(3)[])"
                f" PARTITION BY {by};"
                "INSERT INTO colbert._index (source, embeddings, key, method, options, dimensions,"
                " table_names) VALUES ('documents', 'embeddings', 'id', 'shards', '{}', 3, '{}')",
            )
            bound = "IN (1)" if by == "LIST (id)" else "WITH (MODULUS 1, REMAINDER 0)"
            run(
                parent,
                f"CREATE FOREIGN TABLE d PARTITION OF documents FOR VALUES {bound} SERVER shard",
            )
            assert run(parent, share) == [(1,)], by

    def test_a_failure_has_the_state_that_the_shard_gave(self, parent: psycopg.Connection) -> None:
        error = refusal(
            parent,
            "SELECT colbert._shard_failed(s, 'warning', '22023', 'k must be 3', '', 'Pass 3.')"
            " FROM colbert._shards_of('documents') s WHERE s.server IS NOT NULL",
        )
        assert (error.sqlstate, hint(error)) == ("22023", "Pass 3.")
        assert primary(error).endswith('"public.documents_0" on server "shard": k must be 3')

    def test_building_beside_writers_is_refused(self, own_connection: psycopg.Connection) -> None:
        own_connection.autocommit = True
        run(
            own_connection,
            "CREATE FOREIGN DATA WRAPPER postgres_fdw; CREATE SERVER shard FOREIGN DATA WRAPPER"
            " postgres_fdw; CREATE TABLE documents (id bigint, embeddings vector(3)[])"
            " PARTITION BY HASH (id); CREATE FOREIGN TABLE documents_0 PARTITION OF documents"
            " FOR VALUES WITH (MODULUS 1, REMAINDER 0) SERVER shard",
        )
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="on other servers"):
            run(own_connection, "CALL colbert.create_index_concurrently('documents', key => 'id')")
