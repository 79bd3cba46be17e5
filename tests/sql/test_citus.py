"""Search over a table that Citus has distributed.

COLBERT_PG_CITUS_URL names a database on a coordinator, with nodes, pgvector, and no colbert_pg that
is needed: the tests install their own on every node. Without it most of this is skipped. What holds
on every server stands in for Citus' catalogs, so that all nodes are one.
"""

import os
from collections.abc import Callable, Iterator

import numpy as np
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.citus import CATALOGS
from tests.servers import SQL
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
from tests.sql.test_shards import page_blocks
from tests.waiting import wait_for

QUERY = unit(np.random.default_rng(3), 5, 3)
SEARCH = """SELECT * FROM colbert.search('documents', '{"[1,0,0]"}')"""
STATES = "SELECT state, count(*) FROM colbert.shards GROUP BY 1 ORDER BY 1"
INSTALLATION = (SQL / "dist" / "install.sql").read_text("utf-8")


def both(connection: psycopg.Connection, more: str = "", query: Matrix = QUERY) -> list[list[Row]]:
    """What a search over the shards finds, and the same search of one table."""
    return [search(connection, query, more, name=name) for name in ("documents", "one")]


@pytest.fixture(scope="module")
def coordinator() -> Iterator[psycopg.Connection]:
    """The coordinator, with colbert_pg on all nodes."""
    if not (url := os.environ.get("COLBERT_PG_CITUS_URL")):
        pytest.skip("COLBERT_PG_CITUS_URL names no coordinator")
    with psycopg.connect(url, autocommit=True) as connection:
        nodes = run(connection, "SELECT nodename, nodeport FROM pg_dist_node ORDER BY groupid")
        assert len(nodes) > 2
        for host, port in nodes:
            with psycopg.connect(make_conninfo(url, host=host, port=port), autocommit=True) as node:
                run(node, "SET citus.enable_ddl_propagation = off")
                run(node, "DROP EXTENSION IF EXISTS colbert_pg CASCADE")
                run(node, "DROP SCHEMA IF EXISTS colbert CASCADE")
                run(node, "CREATE EXTENSION IF NOT EXISTS vector")
                node.execute(INSTALLATION.encode())
        yield connection


@pytest.fixture
def citus(coordinator: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """The coordinator, in a schema of its own that is gone afterwards, with four shards a table."""
    run(coordinator, "CREATE SCHEMA lab; SET search_path = lab, public; SET citus.shard_count = 4")
    yield coordinator
    run(coordinator, "RESET ALL; SET search_path = lab, public")
    for (source,) in run(
        coordinator, "SELECT source::text FROM colbert.indexes WHERE method = 'shards'"
    ):
        run(coordinator, f"SELECT colbert.drop_index('{source}', on_shards => true)")
    run(coordinator, "DROP SCHEMA lab CASCADE")


def distribute(
    citus: psycopg.Connection,
    documents: Documents,
    *,
    method: str = "exact",
    key: str = "bigint",
    more: str = "",
) -> None:
    """Table documents over four shards, and one to compare with, both with an index."""
    for name in ("documents", "one"):
        run(citus, f"CREATE TABLE {name} (id {key} PRIMARY KEY, embeddings vector(3)[]{more})")
    run(citus, "SELECT create_distributed_table('documents', 'id', colocate_with => 'none')")
    run(citus, f"SELECT colbert.create_index('documents', method => '{method}')")
    run(citus, "SET citus.enable_ddl_propagation = off")
    run(citus, f"SELECT colbert.create_index('one', method => '{method}')")
    run(citus, "RESET citus.enable_ddl_propagation")
    for name in ("documents", "one"):
        insert(citus, documents, name)


def node_of(citus: psycopg.Connection, shard: int) -> psycopg.Connection:
    """A connection to the node that holds a shard."""
    ((host, port),) = run(
        citus, "SELECT nodename, nodeport FROM citus_shards WHERE shardid = %s", shard
    )
    url = make_conninfo(os.environ["COLBERT_PG_CITUS_URL"], host=host, port=port)
    return psycopg.connect(url, autocommit=True)


def shards(citus: psycopg.Connection, name: str = "documents") -> list[int]:
    return keys(
        run(citus, "SELECT shardid FROM pg_dist_shard WHERE logicalrelid = %s::regclass", name)
    )


class TestSearch:
    @pytest.mark.parametrize("method", ["exact", "plaid"])
    def test_finds_what_one_table_finds(
        self, citus: psycopg.Connection, rng: np.random.Generator, method: str
    ) -> None:
        distribute(citus, unit_documents(rng, 60), method=method, more=", lang text DEFAULT 'en'")
        for name in ("documents", "one"):
            run(citus, f"UPDATE {name} SET lang = 'de' WHERE mod(id, 3) = 0")
        for more in (
            "",
            ", exact => true",
            ", k => 37",
            ", k => 100, min_score => 0.5",
            """, k => 7, filter => 'lang = params->>''l''', params => '{"l": "de"}'""",
            ", key => NULL::text, k => 5",
        ):
            found, expected = both(citus, more)
            assert found == expected != [], more
        calls = (
            "SELECT * FROM colbert.rerank('{}', %s::text[]::vector[], '{{3,5,60,7}}'::bigint[], 3)",
            "SELECT colbert.maxsim(%s::text[]::vector[], 7, '{}')",
            "SELECT * FROM colbert.maxsim_matches(%s::text[]::vector[], 7, '{}')",
        )
        for call in calls:
            over, of_one = (
                run(citus, call.format(name), texts(QUERY)) for name in ("documents", "one")
            )
            assert over == of_one != []
        assert run(citus, "SELECT * FROM colbert.check_index('documents')") == []

    @pytest.mark.parametrize(
        ("key", "form", "values"),
        [
            ("uuid", ", key => NULL::uuid", [f"{i:08}-{'0000-' * 3}{'0' * 12}" for i in range(9)]),
            ("text", ", key => NULL::text", ["a", "B", "c'\"", "ä%s", "\\", "%L", "d", "e"]),
        ],
    )
    def test_keys_that_are_no_numbers(
        self, citus: psycopg.Connection, key: str, form: str, values: list[str]
    ) -> None:
        distribute(citus, dict.fromkeys(values, AB), key=key)
        found, expected = both(citus, form, A)
        assert found == expected
        assert len(found) == len(values)

    def test_the_join_back_is_a_plain_one(
        self, citus: psycopg.Connection, rng: np.random.Generator
    ) -> None:
        distribute(citus, unit_documents(rng, 20), more=", lang text DEFAULT 'en'")
        joined = "SELECT d.id, d.lang FROM colbert.search('documents', %s::text[]::vector[]) s"
        joined += " JOIN documents d ON d.id = s.doc_id ORDER BY s.score DESC, d.id"
        rows = run(citus, joined, texts(QUERY))
        assert rows == [(key, "en") for key in keys(search(citus, QUERY, name="one"))]

    def test_writes_are_indexed_on_their_shards_and_bad_ones_refused(
        self, citus: psycopg.Connection, rng: np.random.Generator
    ) -> None:
        distribute(citus, unit_documents(rng, 30), method="plaid")
        run(citus, "DELETE FROM documents WHERE id < 20")
        run(citus, """UPDATE documents SET embeddings = '{"[0,1,0]"}' WHERE id > 25""")
        assert keys(search(citus, B, ", k => 5")) == [26, 27, 28, 29, 30]
        error = refusal(citus, """INSERT INTO documents VALUES (99, '{"[0.5,0,0]"}')""")
        assert "token 1 has length 0.5000" in primary(error)
        run(citus, "TRUNCATE documents")
        assert search(citus, B) == []
        assert run(citus, "SELECT * FROM colbert.check_index('documents')") == []

    def test_a_shard_has_a_share_where_the_key_distributes(self, citus: psycopg.Connection) -> None:
        distribute(citus, {1: A})
        share = "SELECT colbert._share_of_shards(i) FROM colbert._index i"
        share += " WHERE source = 'documents'::regclass"
        assert run(citus, share) == [(0.25,)]

    def test_statement_timeout_ends_the_wait_for_a_shard(
        self, citus: psycopg.Connection, rng: np.random.Generator
    ) -> None:
        distribute(citus, unit_documents(rng, 20))
        shard = shards(citus)[0]
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        waiting += " AND datname = current_database()"
        with node_of(citus, shard) as holder, node_of(citus, shard) as other:
            holder.autocommit = False
            run(holder, "SET citus.enable_manual_changes_to_shards = on")
            run(holder, f"LOCK TABLE lab.documents_{shard}")
            run(citus, "SET statement_timeout = 600")
            with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
                search(citus, QUERY)
            run(citus, "RESET statement_timeout")
            wait_for(lambda: run(other, waiting) == [(0,)], "the shard to give up")
            holder.rollback()
        assert len(search(citus, QUERY)) == 10


class TestEngines:
    def test_a_reference_table_has_an_index_on_every_node(
        self, citus: psycopg.Connection, rng: np.random.Generator
    ) -> None:
        distribute(citus, unit_documents(rng, 20))
        run(citus, "CREATE TABLE copied (LIKE documents INCLUDING ALL)")
        run(citus, "SELECT create_reference_table('copied')")
        run(citus, "SELECT colbert.create_index('copied', method => 'plaid')")
        run(citus, "INSERT INTO copied SELECT * FROM documents")
        assert search(citus, QUERY, name="copied") == search(citus, QUERY)
        nodes = run(citus, "SELECT count(*) FROM pg_dist_node")
        indexes = "SELECT count(*) FROM colbert.shards WHERE source = 'copied'::regclass"
        assert run(citus, f"{indexes} AND state = 'ready'") == nodes
        assert run(citus, "SELECT * FROM colbert.check_index('copied')") == []

    def test_a_table_of_a_distributed_schema_has_one_shard(
        self, citus: psycopg.Connection, rng: np.random.Generator
    ) -> None:
        distribute(citus, unit_documents(rng, 20))
        run(citus, "SET citus.enable_schema_based_sharding = on; CREATE SCHEMA of_a_tenant")
        try:
            run(citus, "CREATE TABLE of_a_tenant.d (LIKE documents INCLUDING ALL)")
            run(citus, "INSERT INTO of_a_tenant.d SELECT * FROM documents")
            run(citus, "SELECT colbert.create_index('of_a_tenant.d', method => 'plaid')")
            assert search(citus, QUERY, name="of_a_tenant.d") == search(citus, QUERY)
            assert run(citus, "SELECT * FROM colbert.check_index('of_a_tenant.d')") == []
            run(citus, "SELECT colbert.drop_index('of_a_tenant.d', on_shards => true)")
        finally:
            run(citus, "DROP SCHEMA of_a_tenant CASCADE")

    def test_a_table_distributed_by_tenant_is_checked_by_tenant_and_key(
        self, citus: psycopg.Connection
    ) -> None:
        run(citus, "CREATE TABLE documents (tenant text, id text, embeddings vector(3)[])")
        run(citus, "ALTER TABLE documents ADD PRIMARY KEY (tenant, id)")
        run(citus, "SELECT create_distributed_table('documents', 'tenant')")
        tenant = """options => '{"tenant": "tenant"}'"""
        run(citus, f"SELECT colbert.create_index('documents', {tenant})")
        for name in "abcdefgh":
            run(citus, """INSERT INTO documents VALUES (%s, '1', '{"[1,0,0]"}')""", name)
        of_one = ", key => NULL::text, filter => 'tenant = ''c'''"
        assert search(citus, A, of_one) == [("1", 1.0)]
        assert run(citus, "SELECT * FROM colbert.check_index('documents')") == []

    def test_partitions_that_come_later_are_searched(self, citus: psycopg.Connection) -> None:
        run(
            citus,
            "CREATE TABLE documents (id bigint, y int, embeddings vector(3)[], PRIMARY KEY (id, y))"
            " PARTITION BY LIST (y)",
        )
        run(citus, "CREATE TABLE first PARTITION OF documents FOR VALUES IN (1)")
        run(citus, "SELECT create_distributed_table('documents', 'id')")
        run(citus, """SELECT colbert.create_index('documents', options => '{"tenant": "y"}')""")
        run(citus, "CREATE TABLE second PARTITION OF documents FOR VALUES IN (2)")
        run(
            citus,
            """INSERT INTO documents SELECT i, 1 + i / 50, '{"[1,0,0]"}'
                        FROM generate_series(1, 99) i""",
        )
        assert len(search(citus, A, ", k => 100")) == 99


class TestPage:
    def test_the_section_of_the_page_runs(self, citus: psycopg.Connection) -> None:
        blocks = page_blocks("Tables that Citus distributes")
        for _, block in blocks:
            for statement in filter(str.strip, block.split(";\n")):
                run(citus, statement)
        assert keys(run(citus, blocks[-1][1])) == [44, 25, 19]


class TestShards:
    def test_one_that_was_moved_or_split_is_named_until_it_is_mended(
        self, citus: psycopg.Connection, rng: np.random.Generator
    ) -> None:
        distribute(citus, unit_documents(rng, 60), method="plaid")
        expected = both(citus)[1]
        move = (
            "SELECT citus_move_shard_placement(s.shardid, s.nodename, s.nodeport, n.nodename,"
            " n.nodeport, 'block_writes') FROM citus_shards s, pg_dist_node n"
            " WHERE s.shardid = %s AND n.shouldhaveshards AND n.nodeport <> s.nodeport"
        )
        split = "SELECT citus_split_shard_by_split_points(%s, ARRAY['-1610612736'],"
        split += " ARRAY(SELECT nodeid FROM pg_dist_node WHERE shouldhaveshards LIMIT 2),"
        split += " 'block_writes')"
        mend = "SELECT colbert.repair_index('documents')"
        for change in (move, move, split):
            run(citus, change, shards(citus)[0])
            error = refusal(citus, SEARCH)
            assert error.sqlstate == "42704"
            assert "has no late-interaction index" in primary(error)
            assert "colbert.repair_index" in hint(error)
            [(problem, _, detail), *_] = run(
                citus, "SELECT * FROM colbert.check_index('documents')"
            )
            assert problem == "shard"
            assert "Was it moved or split?" in detail
            assert ("missing",) in [row[:1] for row in run(citus, STATES)]
            run(citus, mend)
            assert search(citus, QUERY) == expected
            assert run(citus, "SELECT * FROM colbert.check_index('documents')") == []
        assert len(shards(citus)) == 5
        methods = "SELECT DISTINCT result FROM run_command_on_shards('documents', $$"
        methods += "SELECT method FROM colbert._index WHERE source = '%s'::regclass$$)"
        assert run(citus, methods) == [("plaid",)]

    def test_upkeep_reaches_all(self, citus: psycopg.Connection, rng: np.random.Generator) -> None:
        distribute(citus, unit_documents(rng, 40), method="plaid")
        shard = shards(citus)[0]
        with node_of(citus, shard) as node:
            run(
                node,
                "SET citus.enable_manual_changes_to_shards = on;"
                "SET session_replication_role = replica;"
                f"""UPDATE lab.documents_{shard} SET embeddings = '{{"[0,0,1]"}}'""",
            )
        found = run(citus, "SELECT * FROM colbert.check_index('documents')")
        assert {problem for problem, _, _ in found} == {"stale document"}
        assert all(f'shard "lab.documents_{shard}" on server "' in row[2] for row in found)
        assert run(citus, "SELECT colbert.repair_index('documents')") == [(len(found),)]
        run(citus, "SELECT colbert.reindex('documents')")
        assert run(citus, "SELECT * FROM colbert.check_index('documents')") == []
        assert run(citus, STATES) == [("ready", 4)]
        run(citus, "SELECT colbert.drop_index('documents', on_shards => true)")
        left = "SELECT DISTINCT result FROM run_command_on_shards('documents', $$SELECT count(*)"
        left += " FROM colbert._index WHERE source = '%s'::regclass$$)"
        assert run(citus, left) == [("0",)]

    def test_a_table_that_was_indexed_before_it_was_distributed_is_refused(
        self, citus: psycopg.Connection, rng: np.random.Generator
    ) -> None:
        run(citus, "CREATE TABLE documents (id bigint PRIMARY KEY, embeddings vector(3)[])")
        insert(citus, unit_documents(rng, 20))
        untriggered = (
            """SELECT colbert.create_index('documents', options => '{"triggers": false}')"""
        )
        run(citus, untriggered)
        run(citus, "SELECT create_distributed_table('documents', 'id')")
        error = refusal(citus, SEARCH)
        assert error.sqlstate == "55000"
        for statement in hint(error).removeprefix("Drop it here alone: ").split("; ")[:-1]:
            run(citus, statement)
        run(citus, "SELECT colbert.create_index('documents')")
        assert len(search(citus, QUERY)) == 10


class TestRights:
    def test_row_level_security_holds_on_the_shards(
        self, citus: psycopg.Connection, rng: np.random.Generator
    ) -> None:
        distribute(citus, unit_documents(rng, 40), more=", owner name DEFAULT 'colbert_pg_reader'")
        run(citus, "UPDATE documents SET owner = 'colbert_pg_other' WHERE id > 30")
        for role in ("colbert_pg_reader", "colbert_pg_other"):
            run(citus, f"DROP ROLE IF EXISTS {role}")
            run(citus, f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA lab TO {role}")
        try:
            run(citus, "SET ROLE colbert_pg_reader")
            assert primary(refusal(citus, SEARCH)) == "permission denied for table documents"
            run(citus, "RESET ROLE")
            run(citus, "GRANT SELECT ON documents TO colbert_pg_reader")
            run(citus, "SET ROLE colbert_pg_reader")
            assert len(search(citus, QUERY, ", k => 50")) == 40
            run(citus, "RESET ROLE")
            run(citus, "ALTER TABLE documents ENABLE ROW LEVEL SECURITY")
            run(citus, "CREATE POLICY own ON documents USING (owner = current_user)")
            run(citus, "GRANT SELECT ON documents TO colbert_pg_other")
            run(citus, "SET ROLE colbert_pg_reader")
            assert sorted(keys(search(citus, QUERY, ", k => 50"))) == list(range(1, 31))
            run(citus, "RESET ROLE")
            run(citus, "SET ROLE colbert_pg_other")
            assert sorted(keys(search(citus, QUERY, ", k => 50"))) == list(range(31, 41))
            maxsim = """SELECT colbert.maxsim('{"[1,0,0]"}', 1, 'documents')"""
            assert run(citus, maxsim) == [(None,)]
            run(citus, "RESET ROLE")
            run(citus, "DROP POLICY own ON documents")
            run(citus, "CREATE POLICY own ON documents USING (owner = current_setting('app.name'))")
            run(citus, "SET ROLE colbert_pg_other")
            error = refusal(citus, SEARCH)
            assert error.sqlstate == "0A000"
            assert hint(error).startswith("Write the policies without settings and functions")
        finally:
            run(citus, "RESET ROLE")
            run(citus, "DROP OWNED BY colbert_pg_reader, colbert_pg_other")
            run(citus, "DROP ROLE colbert_pg_reader, colbert_pg_other")


TABLES = """
CREATE TABLE documents (id bigint PRIMARY KEY, embeddings vector(3)[]);
CREATE TABLE documents_1 (LIKE documents INCLUDING ALL);
CREATE TABLE documents_2 (LIKE documents INCLUDING ALL);
CREATE TABLE one (LIKE documents INCLUDING ALL);
INSERT INTO pg_dist_shard VALUES ('documents', 1, -9, -1), ('documents', 2, 0, 8);
INSERT INTO pg_dist_placement VALUES (1, 1, 1), (2, 1, 2);
"""
DISTRIBUTE = "INSERT INTO pg_dist_partition VALUES ('documents', 'h', 'id')"


class TestWithoutCitus:
    """What holds on every server: Citus' catalogs are stood in for, and each node is this one."""

    @pytest.fixture
    def shard(self, connection: psycopg.Connection) -> psycopg.Connection:
        run(connection, CATALOGS)
        run(connection, TABLES)
        return connection

    @pytest.fixture
    def loaded(
        self, shard: psycopg.Connection, rng: np.random.Generator
    ) -> tuple[psycopg.Connection, Documents]:
        run(shard, DISTRIBUTE)
        for name in ("documents", "one"):
            run(shard, f"SELECT colbert.create_index('{name}', method => 'plaid')")
        documents = unit_documents(rng, 30)
        insert(shard, documents, "one")
        for number in (1, 2):
            of_one = f"SELECT * FROM one WHERE mod(id, 2) = {number - 1}"
            run(shard, f"INSERT INTO documents_{number} {of_one}")
        return shard, documents

    def test_all_shards_are_searched(self, loaded: tuple[psycopg.Connection, Documents]) -> None:
        shard, documents = loaded
        for more in ("", ", k => 40", ", exact => true", ", filter => 'id > 9'"):
            found, expected = both(shard, more)
            assert found == expected != []
        assert sorted(keys(search(shard, QUERY, ", k => 40"))) == list(documents)
        assert run(shard, "SELECT shard, server, state FROM colbert.shards") == [
            ("public.documents_1", "node:1", "ready"),
            ("public.documents_2", "node:2", "ready"),
        ]
        assert run(shard, "SELECT * FROM colbert.check_index('documents')") == []
        run(shard, "INSERT INTO documents_2 SELECT * FROM documents_1 LIMIT 1")
        [(problem, _, detail)] = run(shard, "SELECT * FROM colbert.check_index('documents')")
        assert problem == "duplicate key"
        assert detail.startswith('held by shard "public.documents_1" on server "node:1" and')

    def test_a_shard_without_its_index_is_named_and_mended(
        self, loaded: tuple[psycopg.Connection, Documents]
    ) -> None:
        shard, _ = loaded
        expected = both(shard)[1]
        run(shard, "SELECT colbert.drop_index('documents_2')")
        error = refusal(shard, SEARCH)
        assert error.sqlstate == "42704"
        assert primary(error).startswith('shard "public.documents_2" on server "node:2": table')
        assert "colbert.repair_index" in hint(error)
        assert run(shard, STATES) == [("missing", 1), ("ready", 1)]
        run(shard, "SELECT colbert.repair_index('documents')")
        assert run(shard, "SELECT method FROM colbert.indexes ORDER BY source::text") == [
            (method,) for method in ("shards", "plaid", "plaid", "plaid")
        ]
        assert search(shard, QUERY) == expected

    def test_a_node_that_is_down_is_named_or_left_out(
        self, loaded: tuple[psycopg.Connection, Documents]
    ) -> None:
        shard, _ = loaded
        run(shard, "UPDATE pg_dist_node SET nodeport = -1 WHERE nodeid = 2")
        error = refusal(shard, SEARCH)
        assert error.sqlstate == "08006"
        assert primary(error).endswith('"node:-1": failed to connect to node:-1')
        assert hint(error).startswith("Look at the node. SET colbert.shards")
        run(shard, "SET LOCAL colbert.shards = 'reachable'")
        assert {key % 2 for key in keys(search(shard, QUERY, ", k => 40"))} == {0}
        assert run(shard, "SELECT colbert.repair_index('documents')") == [(0,)]
        assert run(shard, STATES) == [("ready", 1), ("unreachable", 1)]
        run(shard, "DELETE FROM pg_dist_placement WHERE shardid = 1")
        run(shard, "SET LOCAL colbert.shards = 'all'")
        assert primary(refusal(shard, SEARCH)).endswith('documents_1": no node holds it')

    def test_a_node_without_colbert_pg_is_told_to_install_it(
        self, loaded: tuple[psycopg.Connection, Documents]
    ) -> None:
        shard, _ = loaded
        run(shard, "ALTER FUNCTION colbert._answers_here RENAME TO _answers_elsewhere")
        error = refusal(shard, SEARCH)
        assert "function colbert._answers_here(unknown) does not exist" in primary(error)
        assert hint(error) == "Install colbert_pg on the shard, in the same version."

    def test_one_copy_of_a_shard_is_read(
        self, loaded: tuple[psycopg.Connection, Documents]
    ) -> None:
        shard, _ = loaded
        run(shard, "INSERT INTO pg_dist_placement VALUES (1, 1, 2), (2, 1, 1)")
        found, expected = both(shard, ", k => 40")
        assert found == expected
        assert run(shard, STATES) == [("ready", 4)]
        assert run(shard, "SELECT * FROM colbert.check_index('documents')") == []

    def test_shards_of_unlike_sizes_have_no_share(
        self, loaded: tuple[psycopg.Connection, Documents]
    ) -> None:
        shard, _ = loaded
        share = "SELECT colbert._share_of_shards(i) FROM colbert._index i WHERE method = 'shards'"
        assert run(shard, share) == [(0.5,)]
        run(shard, "UPDATE pg_dist_shard SET shardmaxvalue = '99' WHERE shardid = 2")
        assert run(shard, share) == [(1,)]
        run(shard, "UPDATE pg_dist_partition SET partmethod = 'n'")
        assert run(shard, share) == [(1,)]

    def test_an_index_that_is_older_than_the_distribution_is_refused(
        self, shard: psycopg.Connection
    ) -> None:
        run(shard, "SELECT colbert.create_index('documents')")
        run(shard, DISTRIBUTE)
        maxsim = """SELECT colbert.maxsim('{"[1,0,0]"}', 1, 'documents')"""
        for statement in (SEARCH, maxsim, "SELECT * FROM colbert.check_index('documents')"):
            error = refusal(shard, statement)
            assert error.sqlstate == "55000"
            assert primary(error).endswith("was distributed after it was indexed")
        assert "colbert.drop_index('public.documents', 'embeddings')" in hint(error)
        run(
            shard,
            "SELECT colbert.drop_index('documents'); SELECT colbert.create_index('documents')",
        )
        assert run(shard, SEARCH) == []

    def test_a_policy_that_reads_a_setting_is_refused(
        self, loaded: tuple[psycopg.Connection, Documents], new_role: Callable[[], str]
    ) -> None:
        shard, _ = loaded
        role = new_role()
        run(shard, f"GRANT SELECT ON documents, documents_1, documents_2 TO {role}")
        run(shard, f"GRANT SELECT ON ALL TABLES IN SCHEMA pg_catalog TO {role}")
        run(shard, "ALTER TABLE documents ENABLE ROW LEVEL SECURITY")
        run(shard, "CREATE POLICY own ON documents USING (id < 99 AND current_user = 'reader')")
        run(shard, f"SET LOCAL ROLE {role}")
        assert len(search(shard, QUERY)) == 10  # the policies of the shards say who sees what
        run(shard, "RESET ROLE")
        run(shard, "DROP POLICY own ON documents")
        run(shard, "CREATE FUNCTION of_mine(bigint) RETURNS boolean RETURN $1 > 3")
        setting = "current_setting('app.name', true) = 'a'"
        for condition in (setting, "session_user = 'a'", "of_mine(id)"):
            run(shard, f"CREATE POLICY own ON documents USING ({condition})")
            run(shard, f"SET LOCAL ROLE {role}")
            error = refusal(shard, SEARCH)
            assert error.sqlstate == "0A000"
            assert hint(error).startswith("Write the policies without settings and functions")
            run(shard, "RESET ROLE")
            run(shard, "DROP POLICY own ON documents")
