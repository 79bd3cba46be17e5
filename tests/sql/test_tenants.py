"""Option tenant: each tenant has a part of the index, searched and kept in step by itself."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
import pytest

from tests.servers import as_role
from tests.sql.documents import (
    AB,
    A,
    B,
    C,
    Documents,
    Matrix,
    clustered_documents,
    fewer,
    hint,
    keys,
    primary,
    problems,
    ranking,
    refusal,
    run,
    search,
    texts,
    unit,
)

PLAIN = "PRIMARY KEY (tenant_id, id))"
PARTITIONED = """
    PRIMARY KEY (tenant_id, id)) PARTITION BY LIST (tenant_id);
    CREATE TABLE first PARTITION OF documents FOR VALUES IN (1);
    CREATE TABLE others PARTITION OF documents DEFAULT;
"""
OPTION = """, method => 'plaid', options => '{"tenant": "tenant_id"}'"""
LARGE, SMALL = 320, 12


def make(
    connection: psycopg.Connection,
    sizes: Mapping[Any, Documents],
    table: str = PLAIN,
    tenant: str = "bigint",
    dimensions: int = 16,
) -> None:
    run(
        connection,
        f"CREATE TABLE documents (tenant_id {tenant} NOT NULL, id bigint NOT NULL,"
        f" lang text DEFAULT 'en', embeddings vector({dimensions})[], {table}",
    )
    for name, documents in sizes.items():
        add(connection, name, documents)


def add(connection: psycopg.Connection, tenant: object, documents: Documents) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO documents (tenant_id, id, embeddings)"
            " VALUES (%s, %s, %s::text[]::vector[])",
            [(tenant, key, texts(document)) for key, document in documents.items()],
        )


def create(connection: psycopg.Connection, more: str = OPTION) -> None:
    run(connection, f"SELECT colbert.create_index('documents'{more})")


def parts(connection: psycopg.Connection) -> list[object]:
    """The tenants that have a part of the index."""
    [(table,)] = run(
        connection,
        "SELECT tables[array_position(table_names, 'tenants')]::text FROM colbert._index",
    )
    return keys(run(connection, f"SELECT tenant FROM {table} ORDER BY tenant::text"))


@pytest.fixture
def large(rng: np.random.Generator) -> tuple[dict[int, Matrix], list[Matrix]]:
    return clustered_documents(rng, LARGE, 16)


@pytest.mark.parametrize("table", [PLAIN, PARTITIONED], ids=["plain", "partitioned"])
def test_a_search_of_one_tenant_finds_what_is_best_in_it(
    connection: psycopg.Connection,
    rng: np.random.Generator,
    large: tuple[dict[int, Matrix], list[Matrix]],
    table: str,
) -> None:
    documents, queries = large
    small = {key: unit(rng, 5, 16) for key in range(1, SMALL + 1)}
    other, _ = clustered_documents(rng, LARGE, 16)
    make(connection, {1: documents, 2: other, 3: small}, table)
    create(connection)
    assert parts(connection) == [1, 2]
    assert problems(connection) == []
    found = 0
    for query in queries:
        for tenant, held in [(1, documents), (2, other), (3, small)]:
            rows = search(connection, query, f", filter => 'tenant_id = {tenant}'")
            assert len(rows) == 10
            for key, score in rows:
                assert score == pytest.approx(dict(ranking(query, held))[key], abs=1e-4)
            wanted = set(keys(ranking(query, held, 10)))
            found += len(wanted & set(keys(rows)))
            assert tenant != 3 or wanted == set(keys(rows))
    assert found / (10 * 3 * len(queries)) > 0.95


@pytest.mark.parametrize(
    ("declared", "names"),
    [
        ("integer", (1, 2)),
        ("uuid", (UUID(int=1), UUID(int=2))),
        ("text", ("it's", '{"a",b\\')),
        ("varchar(10)", ("a, b", "NULL")),
    ],
    ids=["integer", "uuid", "text", "varchar"],
)
def test_a_tenant_may_be_of_every_type_that_names_one(
    connection: psycopg.Connection,
    large: tuple[dict[int, Matrix], list[Matrix]],
    declared: str,
    names: tuple[object, object],
) -> None:
    documents, queries = large
    make(connection, {names[0]: documents, names[1]: {1: documents[1]}}, tenant=declared)
    create(connection)
    assert parts(connection) == [names[0]]
    for tenant, expected in [(names[0], 10), (names[1], 1)]:
        rows = run(
            connection,
            "SELECT * FROM colbert.search('documents', %s::text[]::vector[],"
            f" filter => 'tenant_id = (params->>''tenant'')::{declared}',"
            " params => jsonb_build_object('tenant', %s::text))",
            texts(queries[0]),
            str(tenant),
        )
        assert len(rows) == expected
    assert problems(connection) == []


def test_a_search_of_several_tenants_merges_what_each_has(
    connection: psycopg.Connection,
    rng: np.random.Generator,
    large: tuple[dict[int, Matrix], list[Matrix]],
) -> None:
    """Of two with a part of the index, and two without."""
    documents, queries = large
    held: dict[int, Documents] = {
        1: dict(documents.items()),
        2: {1000 + key: document[::-1] for key, document in documents.items() if key > 10},
        3: {2000 + key: unit(rng, 5, 16) for key in range(SMALL)},
        4: {3000 + key: documents[key] for key in range(1, SMALL)},
    }
    make(connection, held)
    create(connection)
    assert parts(connection) == [1, 2]
    everything = {key: d for documents in held.values() for key, d in documents.items()}
    for query in queries[:4]:
        for more in ("", ", filter => 'tenant_id < 9'", ", exact => true"):
            rows = search(connection, query, f", k => 25{more}")
            assert [score for _, score in rows] == sorted((s for _, s in rows), reverse=True)
            assert len(set(keys(rows)) & set(keys(ranking(query, everything, 25)))) >= 23
    best = ranking(queries[0], everything, 6)  # of which every two score alike
    rows = search(
        connection, queries[0], f", k => 100, min_score => {best[-1][1] / len(queries[0]) - 1e-5}"
    )
    assert keys(rows) == keys(best)


def test_others_are_not_read(
    own_connection: psycopg.Connection,
    large: tuple[dict[int, Matrix], list[Matrix]],
) -> None:
    """Rows of derived tables that a search reads follow from the tenant's documents alone."""
    documents, queries = large
    make(own_connection, {1: documents, 2: {1: documents[1]}})
    create(own_connection)

    def read(tenant: int) -> int:
        [(before,)] = run(own_connection, READ)
        search(own_connection, queries[0], f", filter => 'tenant_id = {tenant}'")
        [(after,)] = run(own_connection, READ)
        return int(after - before)

    alone, small = read(1), read(2)
    for tenant in range(3, 7):
        add(own_connection, tenant, documents)
    run(own_connection, "SELECT colbert.reindex('documents')")
    assert len(parts(own_connection)) == 5
    assert read(1) < 1.3 * alone  # centroids are drawn at random
    assert small <= 1  # looked up among the tenants
    assert read(2) <= 1


READ = """
    SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::int
      FROM pg_stat_xact_user_tables WHERE relname LIKE 'documents\\_embeddings\\_%'
"""
WRITES = [
    "UPDATE documents SET tenant_id = 2, id = id + 1000 WHERE tenant_id = 1 AND id < 30",
    "UPDATE documents SET tenant_id = 3, id = id + 1000 WHERE tenant_id = 1 AND id < 30",
    "UPDATE documents SET tenant_id = 1, id = id + 2000 WHERE tenant_id = 3",
    "UPDATE documents SET embeddings = embeddings[2:] WHERE id % 7 = 0",
    "UPDATE documents SET embeddings = NULL WHERE id % 11 = 0",
    "UPDATE documents SET id = id + 5000 WHERE tenant_id = 2",
    "DELETE FROM documents WHERE tenant_id = 2",
    "DELETE FROM documents WHERE id % 3 = 0",
    "TRUNCATE documents",
    "INSERT INTO documents SELECT 4, id, lang, embeddings FROM documents WHERE tenant_id = 2",
]


@pytest.mark.parametrize("table", [PLAIN, PARTITIONED], ids=["plain", "partitioned"])
@pytest.mark.parametrize("write", WRITES)
def test_every_write_keeps_each_part_in_step(
    connection: psycopg.Connection, rng: np.random.Generator, write: str, table: str
) -> None:
    fewer(connection)
    documents, queries = clustered_documents(rng, 40, 16)
    few = {key: documents[key] for key in range(1, SMALL)}
    make(connection, {1: documents, 2: documents, 3: few}, table)
    create(connection)
    run(connection, write)
    assert problems(connection) == []
    for tenant in (1, 2, 3, 4):
        [(held,)] = run(
            connection,
            "SELECT count(*) FROM documents WHERE tenant_id = %s AND cardinality(embeddings) > 0",
            tenant,
        )
        rows = search(connection, queries[0], f", k => 500, filter => 'tenant_id = {tenant}'")
        assert len(rows) == held


@pytest.mark.parametrize("write", WRITES)
def test_what_the_triggers_did_not_see_is_found_and_mended(
    connection: psycopg.Connection, rng: np.random.Generator, write: str
) -> None:
    fewer(connection)
    documents, _ = clustered_documents(rng, 40, 16)
    few = {key: documents[key] for key in range(1, SMALL)}
    make(connection, {1: documents, 2: documents, 3: few})
    create(connection)
    run(connection, "SET LOCAL session_replication_role = replica")
    run(connection, write)
    run(connection, "SET LOCAL session_replication_role = origin")
    of_no_part = write.startswith("INSERT")
    assert bool(problems(connection)) != of_no_part
    [(mended,)] = run(connection, "SELECT colbert.repair_index('documents')")
    assert (mended > 0) != of_no_part
    assert problems(connection) == []


def test_a_partition_that_comes_or_goes_is_found_and_mended(
    connection: psycopg.Connection, large: tuple[dict[int, Matrix], list[Matrix]]
) -> None:
    documents, _ = large
    make(connection, {1: documents, 2: documents}, PARTITIONED)
    create(connection)
    run(connection, "ALTER TABLE documents DETACH PARTITION first")
    assert {problem for problem, _ in problems(connection)} == {"orphaned document"}
    run(connection, "SELECT colbert.repair_index('documents')")
    assert problems(connection) == []
    run(connection, "ALTER TABLE documents ATTACH PARTITION first FOR VALUES IN (1)")
    assert {problem for problem, _ in problems(connection)} == {"missing document"}
    run(connection, "SELECT colbert.repair_index('documents')")
    assert problems(connection) == []


AMBIGUOUS = [
    "SELECT * FROM colbert.search('documents', %(q)s::text[]::vector[])",
    "SELECT * FROM colbert.search('documents', %(q)s::text[]::vector[], exact => true)",
    "SELECT * FROM colbert.rerank('documents', %(q)s::text[]::vector[], '{7, 8}'::bigint[])",
    "SELECT * FROM colbert.hybrid_search('documents', %(q)s::text[]::vector[], 'en',"
    " content => 'lang')",
    "SELECT * FROM colbert.search_parents('documents', %(q)s::text[]::vector[], 'tenant_id')",
    "SELECT * FROM colbert.search_parents('documents', %(q)s::text[]::vector[], 'tenant_id',"
    " exact => true)",
    "SELECT colbert.maxsim(%(q)s::text[]::vector[], 7, 'documents')",
    "SELECT * FROM colbert.maxsim_matches(%(q)s::text[]::vector[], 7, 'documents')",
    "SELECT colbert.upsert('documents', 7, %(q)s::text[]::vector[])",
]


@pytest.mark.parametrize("method", ["exact", "plaid"])
@pytest.mark.parametrize("call", AMBIGUOUS)
def test_a_key_that_is_seen_in_two_tenants_is_refused(
    connection: psycopg.Connection, call: str, method: str
) -> None:
    make(connection, {1: {7: AB, 8: C}, 2: {7: A, 9: B}}, dimensions=3)
    create(connection, OPTION.replace("plaid", method))
    error = _refused(connection, call, texts(AB))
    assert error.sqlstate == "21000"
    assert primary(error) == 'document "7" of table "public.documents" is there in several tenants'
    assert "filter" in hint(error)


UNENCODED = [call for call in AMBIGUOUS if "rerank" in call or "maxsim" in call or "upsert" in call]


@pytest.mark.parametrize("call", UNENCODED)
def test_a_key_is_refused_whether_its_documents_have_arrays_or_not(
    connection: psycopg.Connection, call: str
) -> None:
    """Or one of them would be written, or read, in place of the other."""
    make(connection, {1: {7: AB, 8: C}}, dimensions=3)
    run(connection, "INSERT INTO documents VALUES (2, 7, 'en', NULL)")
    create(connection)
    before = run(connection, "SELECT tenant_id, embeddings::text FROM documents ORDER BY 1, id")
    assert _refused(connection, call, texts(A)).sqlstate == "21000"
    assert (
        run(connection, "SELECT tenant_id, embeddings::text FROM documents ORDER BY 1, id")
        == before
    )


def _refused(connection: psycopg.Connection, call: str, query: list[str]) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught, connection.transaction():
        connection.execute(call.encode(), {"q": query})
    return caught.value


@pytest.fixture
def reader(
    own_connection: psycopg.Connection, database: str, new_role: Callable[[], str]
) -> Iterator[psycopg.Connection]:
    """A role that sees the tenant that a setting names."""
    role = new_role()
    make(own_connection, {1: {7: AB, 8: C}, 2: {7: A, 9: B}}, dimensions=3)
    run(
        own_connection,
        "ALTER TABLE documents ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON documents"
        " USING (tenant_id = current_setting('app.tenant')::bigint);"
        f"GRANT ALL ON documents TO {role}",
    )
    with psycopg.connect(as_role(database, role), autocommit=True) as connection:
        yield connection


def test_to_whom_sees_one_tenant_a_key_names_a_document(
    own_connection: psycopg.Connection, reader: psycopg.Connection
) -> None:
    create(own_connection)
    own_connection.commit()
    run(reader, "SET debug_parallel_query = on")  # maxsim by key runs in workers, too
    for tenant, score in [(1, 2.0), (2, 1.0)]:
        run(reader, f"SET app.tenant = {tenant}")
        assert (7, score) in search(reader, AB)
        query = texts(AB)
        assert run(
            reader, "SELECT colbert.maxsim(%s::text[]::vector[], 7, 'documents')", query
        ) == [(score,)]
        assert run(
            reader,
            "SELECT * FROM colbert.rerank('documents', %s::text[]::vector[], '{7}'::bigint[])",
            query,
        ) == [(7, score)]
        run(reader, "SELECT colbert.upsert('documents', 7, %s::text[]::vector[])", texts(B))
        assert (7, 1.0) in search(reader, AB)
        error = refusal(
            reader, "SELECT colbert.upsert('documents', 99, %s::text[]::vector[])", texts(B)
        )
        assert error.sqlstate == "P0002"
        assert "tenant_id" in hint(error)
    assert run(own_connection, "SELECT problem FROM colbert.check_index('documents')") == []


def test_upsert_without_triggers_puts_a_document_in_the_part_of_its_tenant(
    connection: psycopg.Connection, large: tuple[dict[int, Matrix], list[Matrix]]
) -> None:
    documents, _ = large
    make(connection, {1: documents, 2: {1000: documents[1]}})
    create(connection, OPTION.replace("}'", ', "triggers": false}\''))
    query = texts(documents[3])
    for key in (5, 1000):
        run(connection, f"SELECT colbert.upsert('documents', {key}, %s::text[]::vector[])", query)
    assert problems(connection) == []


REFUSED = [
    (OPTION.replace("tenant_id", "owner"), "42703", "does not exist"),
    (OPTION.replace("tenant_id", "price"), "42804", "is of type numeric"),
    (OPTION.replace("tenant_id", "lang"), "23502", "may be NULL"),
    (OPTION.replace("plaid", "hnsw"), "0A000", "method hnsw does not keep tenants apart"),
    (OPTION.replace("plaid", "ivfflat"), "0A000", "method ivfflat does not keep tenants apart"),
]


@pytest.mark.parametrize(("more", "code", "message"), REFUSED)
def test_what_cannot_keep_an_index_apart_is_refused(
    connection: psycopg.Connection, more: str, code: str, message: str
) -> None:
    make(connection, {}, "price numeric NOT NULL DEFAULT 0, PRIMARY KEY (tenant_id, id))")
    error = refusal(connection, f"SELECT colbert.create_index('documents'{more})")
    assert (error.sqlstate, message in primary(error)) == (code, True)
    assert hint(error)


def test_a_collation_that_takes_different_tenants_for_equal_is_refused(
    connection: psycopg.Connection,
) -> None:
    try:
        with connection.transaction():
            run(
                connection,
                "CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2',"
                " deterministic = false)",
            )
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this PostgreSQL is built without ICU")
    make(connection, {}, tenant="text COLLATE caseless")
    error = refusal(connection, f"SELECT colbert.create_index('documents'{OPTION})")
    assert (error.sqlstate, "deterministic collation" in hint(error)) == ("42804", True)


def test_a_key_that_is_unique_within_a_tenant_needs_the_option(
    connection: psycopg.Connection,
) -> None:
    make(connection, {})
    error = refusal(connection, "SELECT colbert.create_index('documents', method => 'plaid')")
    assert error.sqlstate == "22023"


TEXTS = OPTION.replace("}'", ', "text": "lang"}\'')
CLAIM = "SELECT doc_id, content FROM colbert.claim_pending('documents')"
STORE = "SELECT colbert.store_encoded('documents', '7', %(text)s, %(q)s::text[]::vector[])"
FAIL = "SELECT colbert.report_failure('documents', '7', %(text)s, 'boom') IS NOT NULL"


@pytest.fixture(params=["bigint", 'text COLLATE "C"'])
def encoder(
    own_connection: psycopg.Connection,
    database: str,
    new_role: Callable[[], str],
    request: pytest.FixtureRequest,
) -> Iterator[psycopg.Connection]:
    """A role that sees the tenant that a setting names, and may store what it encodes; both tenants
    have a pending document 7."""
    role = new_role()
    make(own_connection, {}, tenant=request.param, dimensions=3)
    create(own_connection, TEXTS)
    run(
        own_connection,
        "INSERT INTO documents VALUES (1, 7, 'one', NULL), (2, 7, 'two', NULL);"
        "ALTER TABLE documents ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON documents"
        " USING (tenant_id::text = current_setting('app.tenant'));"
        f"GRANT SELECT, UPDATE ON documents TO {role}",
    )
    own_connection.commit()
    with psycopg.connect(as_role(database, role), autocommit=True) as connection:
        yield connection


def _as_tenant(connection: psycopg.Connection, tenant: int, call: str, text: str = "") -> list[Any]:
    connection.execute("SELECT set_config('app.tenant', %s, false)", [str(tenant)])
    return connection.execute(call.encode(), {"text": text, "q": texts(B)}).fetchall()


def test_to_whom_sees_one_tenant_a_key_names_a_text(
    own_connection: psycopg.Connection, encoder: psycopg.Connection
) -> None:
    """Each tenant's document 7 is claimed, fails, is forgotten and stored by itself."""
    failures = "SELECT doc_id, attempts, error FROM colbert.failures('documents')"
    assert _as_tenant(encoder, 1, CLAIM) == [("7", "one")]
    assert _as_tenant(encoder, 1, CLAIM) == []
    assert _as_tenant(encoder, 2, CLAIM) == [("7", "two")]
    assert _as_tenant(encoder, 1, FAIL, "one") == [(True,)]
    assert _as_tenant(encoder, 1, failures) == [("7", 1, "boom")]
    assert _as_tenant(encoder, 2, failures) == []

    assert _as_tenant(encoder, 2, FAIL, "two") == [(True,)]
    run(own_connection, "UPDATE documents SET lang = 'three' WHERE lang = 'two'")
    own_connection.commit()
    assert _as_tenant(encoder, 1, CLAIM) == []  # it is not due
    assert _as_tenant(encoder, 2, CLAIM) == [("7", "three")]

    assert _as_tenant(encoder, 2, STORE, "one") == [(False,)]
    assert _as_tenant(encoder, 2, STORE, "three") == [(True,)]
    assert _as_tenant(encoder, 1, failures) == [("7", 1, "boom")]
    assert _as_tenant(encoder, 1, STORE, "one") == [(True,)]
    assert _as_tenant(encoder, 1, failures) == []
    assert problems(own_connection) == []


@pytest.mark.parametrize("call", [CLAIM, STORE, FAIL])
def test_a_text_whose_key_is_seen_in_two_tenants_is_refused(
    connection: psycopg.Connection, call: str
) -> None:
    make(connection, {}, dimensions=3)
    create(connection, TEXTS)
    run(connection, "INSERT INTO documents VALUES (1, 7, 'one', NULL), (2, 7, 'two', NULL)")
    with pytest.raises(psycopg.Error) as caught, connection.transaction():
        connection.execute(call.encode(), {"text": "one", "q": texts(B)})
    assert caught.value.sqlstate == "21000"
    assert run(
        connection,
        "SELECT count(embeddings), (SELECT count(*) FROM colbert.failures) FROM documents",
    ) == [(0, 0)]
    run(connection, "DELETE FROM documents WHERE tenant_id = 2")
    assert run(connection, CLAIM) == [("7", "one")]


def test_a_document_that_moves_to_another_tenant_starts_afresh(
    connection: psycopg.Connection,
) -> None:
    make(connection, {}, dimensions=3)
    create(connection, TEXTS)
    run(connection, "INSERT INTO documents VALUES (1, 7, 'one', NULL)")
    assert run(connection, CLAIM) == [("7", "one")]
    run(connection, "UPDATE documents SET tenant_id = 2")
    assert run(connection, CLAIM) == [("7", "one")]
    attempts = "SELECT tenant FROM documents_embeddings_attempts"
    assert run(connection, attempts) == [("2",)]
    run(connection, "TRUNCATE documents")
    assert run(connection, attempts) == []


def test_pending_documents_of_a_tenant_are_found_by_the_tenant(
    connection: psycopg.Connection,
) -> None:
    make(connection, {}, dimensions=3)
    create(connection, TEXTS)
    [(definition,)] = run(
        connection,
        "SELECT pg_get_indexdef('documents_embeddings_pending'::regclass)",
    )
    assert "(tenant_id, id) WHERE" in definition


def test_a_document_without_a_tenant_is_refused(connection: psycopg.Connection) -> None:
    make(connection, {1: {7: AB}}, "UNIQUE (id))", dimensions=3)
    create(connection, f"{OPTION}, key => 'id'")
    run(connection, "ALTER TABLE documents ALTER tenant_id DROP NOT NULL")
    error = refusal(
        connection, "INSERT INTO documents VALUES (NULL, 9, 'en', %s::text[]::vector[])", texts(A)
    )
    assert (error.sqlstate, hint(error)) == (
        "23502",
        'Column "tenant_id" keeps the index apart by tenant and must not be NULL.',
    )


def test_a_tenant_column_that_is_gone_is_said(
    connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    fewer(connection)
    documents, queries = clustered_documents(rng, 40, 16)
    make(connection, {1: documents})
    create(connection)
    run(connection, "ALTER TABLE documents RENAME tenant_id TO customer")
    [(state, advice)] = run(connection, "SELECT state, advice FROM colbert.indexes")
    assert (state, advice) == ("broken", 'column "tenant_id" is gone or of another type')
    error = refusal(connection, "SELECT colbert.repair_index('documents')")
    assert error.sqlstate == "42703"
    assert primary(error).startswith('column "tenant_id" of the index on')
    error = refusal(
        connection,
        "SELECT * FROM colbert.search('documents', %s::text[]::vector[])",
        texts(queries[0]),
    )
    assert error.sqlstate == "42703"
    assert "tenant_id" in primary(error)


def test_tenants_that_have_outgrown_the_index_make_it_stale_and_maintain_mends_that(
    own_connection: psycopg.Connection, large: tuple[dict[int, Matrix], list[Matrix]]
) -> None:
    documents, queries = large
    make(own_connection, {1: documents})
    create(own_connection)
    own_connection.commit()
    own_connection.autocommit = True
    state = "SELECT state FROM colbert.indexes"
    assert run(own_connection, state) == [("ready",)]
    add(own_connection, 2, documents)
    assert parts(own_connection) == [1]
    assert run(own_connection, state) == [("stale",)]
    run(own_connection, "CALL colbert.maintain()")
    assert parts(own_connection) == [1, 2]
    assert run(own_connection, state) == [("ready",)]
    assert problems(own_connection) == []
    add(own_connection, 1, {1000 + key: d for key, d in documents.items()})
    add(own_connection, 1, {2000: documents[1]})
    assert run(own_connection, state) == [("stale",)]
    assert len(search(own_connection, queries[0], ", filter => 'tenant_id = 1'")) == 10


@pytest.mark.parametrize("write", WRITES)
def test_a_part_is_built_beside_its_writers(
    database: str, rng: np.random.Generator, write: str
) -> None:
    """A write between two steps of create_index_concurrently."""
    documents, _ = clustered_documents(rng, 40, 16)
    few = {key: documents[key] for key in range(1, SMALL)}
    with psycopg.connect(database, autocommit=True) as connection:
        fewer(connection)
        make(connection, {1: documents, 2: documents, 3: few})
        run(
            connection,
            "SELECT colbert._begin_index('documents', 'embeddings', 'plaid',"
            """ '{"tenant": "tenant_id"}', NULL)""",
        )
        [(number,)] = run(connection, "SELECT id FROM colbert._index")
        steps = 0
        while run(connection, "SELECT colbert._build_step(%s)", number) != [(None,)]:
            steps += 1
            if steps == 4:
                run(connection, write)
        assert steps > 6
        assert problems(connection) == []
        [(method, state)] = run(connection, "SELECT method, state FROM colbert.indexes")
        assert method == "plaid"
        assert state in ("ready", "stale")


def centroids(connection: psycopg.Connection, tenant: int) -> list[tuple[Any, ...]]:
    """Those of a tenant's part, with their lists."""
    [names] = run(
        connection,
        "SELECT x.at[1]::text, x.at[2]::text, x.at[3]::text FROM colbert._index AS i CROSS JOIN"
        " LATERAL (SELECT ARRAY(SELECT i.tables[array_position(i.table_names, n)] FROM"
        " unnest('{tenants, lists, centroids}'::text[]) AS n) AS at) AS x",
    )
    return run(
        connection,
        "SELECT c.id, c.list_id, l.centre::text, c.centroid::text FROM {} AS t JOIN {} AS l"
        " USING (part) JOIN {} AS c ON c.list_id = l.id WHERE t.tenant = {}"
        " ORDER BY c.id".format(*names, tenant),
    )


def test_maintain_builds_the_parts_that_were_outgrown_and_keeps_the_others(
    own_connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    documents, queries = clustered_documents(rng, 40, 16)
    own_connection.autocommit = True
    fewer(own_connection)
    make(own_connection, {1: documents, 2: documents, 3: {1: documents[1]}})
    create(own_connection)
    before = {tenant: centroids(own_connection, tenant) for tenant in (1, 2)}
    add(own_connection, 2, {1000 + key: d for key, d in documents.items()})
    add(own_connection, 2, {2000: documents[1]})
    add(own_connection, 3, {1000 + key: d for key, d in documents.items()})
    assert run(own_connection, "SELECT state FROM colbert.indexes") == [("stale",)]

    run(own_connection, "CALL colbert.maintain()")
    assert centroids(own_connection, 1) == before[1] != []
    assert centroids(own_connection, 2) != before[2]
    assert parts(own_connection) == [1, 2, 3]
    assert run(own_connection, "SELECT state FROM colbert.indexes") == [("ready",)]
    assert problems(own_connection) == []
    for tenant in (1, 2, 3):
        for query in queries[:3]:
            of_tenant = f", filter => 'tenant_id = {tenant}'"
            found = search(own_connection, query, of_tenant)
            true = search(own_connection, query, of_tenant + ", exact => true")
            assert len({key for key, _ in found} & {key for key, _ in true}) >= 8

    run(own_connection, "CALL colbert.reindex_concurrently('documents')")
    assert centroids(own_connection, 1) != before[1]
    assert problems(own_connection) == []


@pytest.mark.parametrize("when", [1, 3])
@pytest.mark.parametrize("write", [*WRITES, "SELECT colbert.reindex('documents')"])
def test_a_part_is_kept_beside_its_writers(
    database: str, rng: np.random.Generator, write: str, when: int
) -> None:
    """A write before the tenants are looked at, and one after the first part was taken over."""
    documents, _ = clustered_documents(rng, 40, 16)
    few = {key: documents[key] for key in range(1, SMALL)}
    with psycopg.connect(database, autocommit=True) as connection:
        fewer(connection)
        make(connection, {1: documents, 3: few})
        create(connection)
        add(connection, 2, documents)
        [(number,)] = run(connection, "SELECT id FROM colbert._index")
        run(connection, "SELECT colbert._begin_rebuild('documents', NULL, true)")
        steps = 0
        while run(connection, "SELECT colbert._build_step(%s)", number) != [(None,)]:
            steps += 1
            if steps == when:
                run(connection, write)
        assert steps > 5
        assert problems(connection) == []


def explained(connection: psycopg.Connection, query: Matrix) -> dict[str, tuple[int | None, str]]:
    rows = run(
        connection,
        "SELECT stage, documents, detail FROM colbert.explain_search("
        "'documents', %s::text[]::vector[])",
        texts(query),
    )
    return {stage: (documents, detail) for stage, documents, detail in rows}


def test_explain_search_says_why_tenants_are_found_slowly(
    own_connection: psycopg.Connection, reader: psycopg.Connection
) -> None:
    for tenant in range(10, 30):
        add(own_connection, tenant, {tenant: A, 100 + tenant: B, 200 + tenant: C})
    add(own_connection, 40, {300 + key: B for key in range(100)})
    create(own_connection)
    own_connection.commit()
    run(reader, "SET app.tenant = 1")
    assert explained(reader, AB)["tenants"] == (None, "1 tenants, 0 parts of the index")
    assert explained(reader, AB)["all"][0] == 2

    run(
        own_connection,
        "CREATE FUNCTION mine(tenant bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS"
        " $$ BEGIN RETURN tenant = current_setting('app.tenant')::bigint; END $$;"
        "ALTER POLICY own ON documents USING (mine(tenant_id))",
    )
    own_connection.commit()
    _, detail = explained(reader, AB)["tenants"]
    assert 'is no condition on an index that begins with "tenant_id"' in detail
    assert keys(search(reader, AB)) == [7, 8]

    run(
        own_connection,
        "ALTER TABLE documents DROP CONSTRAINT documents_pkey, ADD UNIQUE (id, tenant_id)",
    )
    own_connection.commit()
    _, detail = explained(reader, AB)["tenants"]
    assert 'no index begins with "tenant_id"' in detail
    assert keys(search(reader, AB)) == [7, 8]


def test_what_row_level_security_means_for_speed_is_said_at_once(
    connection: psycopg.Connection,
) -> None:
    advice = "SELECT state, advice FROM colbert.indexes"
    make(connection, {}, "number bigint PRIMARY KEY)")
    create(connection, ", method => 'plaid'")
    assert run(connection, advice) == [("ready", None)]
    run(connection, "ALTER TABLE documents ENABLE ROW LEVEL SECURITY")
    [(state, told)] = run(connection, advice)
    assert state == "ready"
    assert 'the option "tenant"' in told
    run(connection, "SELECT colbert.drop_index('documents')")

    notices: list[str | None] = []
    connection.add_notice_handler(lambda notice: notices.append(notice.message_hint))
    create(connection, OPTION.replace(", method => 'plaid'", ""))
    assert run(connection, "SELECT method FROM colbert.indexes") == [("plaid",)]
    [(state, told)] = run(connection, advice)
    assert state == "ready"
    statement = "CREATE INDEX ON public.documents (tenant_id)"
    assert statement in told
    assert notices == [statement]
    run(connection, statement)
    assert run(connection, advice) == [("ready", None)]


def test_a_policy_that_fails_is_an_error_of_the_search(
    own_connection: psycopg.Connection, reader: psycopg.Connection
) -> None:
    create(own_connection)
    own_connection.commit()
    error = refusal(
        reader, "SELECT * FROM colbert.search('documents', %s::text[]::vector[])", texts(AB)
    )
    assert primary(error) == 'unrecognized configuration parameter "app.tenant"'


def test_a_reader_who_sees_a_few_documents_of_a_tenant_finds_the_best_of_them(
    own_connection: psycopg.Connection,
    database: str,
    new_role: Callable[[], str],
    large: tuple[dict[int, Matrix], list[Matrix]],
) -> None:
    """Most of what the index ranks first is hidden then."""
    documents, queries = large
    make(own_connection, {1: documents})
    create(own_connection)
    role = new_role()
    run(
        own_connection,
        "ALTER TABLE documents ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON documents USING (tenant_id = 1 AND id % 20 = 0);"
        f"GRANT SELECT ON documents TO {role}",
    )
    own_connection.commit()
    seen = {key: document for key, document in documents.items() if key % 20 == 0}
    with psycopg.connect(as_role(database, role)) as session:
        for query in queries:
            assert keys(search(session, query)) == keys(ranking(query, seen, 10))


def test_a_large_tenant_gets_as_many_candidates_from_a_policy_as_without(
    own_connection: psycopg.Connection,
    database: str,
    new_role: Callable[[], str],
    large: tuple[dict[int, Matrix], list[Matrix]],
) -> None:
    documents, queries = large
    make(own_connection, {1: documents})
    create(own_connection)
    [(tenants,)] = run(own_connection, "SELECT tables[1]::text FROM colbert._index")
    run(own_connection, f"UPDATE {tenants} SET documents = 500000")
    role = new_role()
    run(
        own_connection,
        "ALTER TABLE documents ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON documents USING (tenant_id = 1);"
        f"GRANT SELECT ON documents TO {role}",
    )
    own_connection.commit()
    with psycopg.connect(as_role(database, role)) as session:
        for connection in (own_connection, session):
            _, detail = explained(connection, queries[0])["scores"]
            assert detail.startswith("of at most 992")  # 460, times the cube root of ten


def test_under_row_level_security_plaid_without_the_option_does_what_exact_search_does(
    own_connection: psycopg.Connection, reader: psycopg.Connection
) -> None:
    """And nothing before it: no count of documents, no reading of the index."""
    run(
        own_connection,
        "ALTER TABLE documents ADD number bigint GENERATED ALWAYS AS IDENTITY UNIQUE",
    )
    create(own_connection, ", method => 'plaid', key => 'number'")
    own_connection.commit()
    run(reader, "SET app.tenant = 1")
    stages = explained(reader, AB)
    assert list(stages) == ["scope", "candidates", "all"]
    assert stages["candidates"][1].startswith("none: row-level security applies")
