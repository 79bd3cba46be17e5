"""search and rerank: the right documents in the right order, and nothing left behind."""

import itertools
from typing import Any

import numpy as np
import psycopg
import pytest

from tests.sql.documents import (
    AB,
    METHODS,
    A,
    C,
    create_index,
    create_table,
    hint,
    insert,
    keys,
    primary,
    ranking,
    refusal,
    run,
    search,
    texts,
    unit,
    unit_documents,
)

QUERY = """'{"[1,0,0]","[0,1,0]"}'::vector[]"""
ALL = [(1, 2.0), (2, 1.0), (3, 0.0)]


@pytest.mark.parametrize("method", METHODS)
def test_the_k_best_come_first_with_their_true_scores(
    connection: psycopg.Connection, rng: np.random.Generator, method: str
) -> None:
    create_table(connection, embeddings="vector(8)[]")
    documents, query = unit_documents(rng, 50, 6, 8), unit(rng, 5, 8)
    insert(connection, documents)
    create_index(connection, "documents", f", method => '{method}'")
    for workers, k in itertools.product([0, 2], [1, 3, 10, 50, 1000]):
        run(connection, f"SET max_parallel_workers_per_gather = {workers}")
        found = search(connection, query, ", k => %s", k)
        expected = ranking(query, documents, k)
        assert keys(found) == keys(expected)
        assert [row[1] for row in found] == pytest.approx([row[1] for row in expected], abs=1e-5)


@pytest.mark.parametrize("more", ["", ", exact => true", ", candidates => 3", ", candidates => 40"])
def test_ties_come_in_the_order_of_their_keys(connection: psycopg.Connection, more: str) -> None:
    create_table(connection)
    insert(connection, dict.fromkeys((30, 4, 17, 5, 22, 1), A))
    create_index(connection)
    assert keys(search(connection, A, f", k => 3{more}")) == [1, 4, 5]


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        ", 10",
        ", 10, NULL, NULL, NULL, false, NULL",
        ", 10, 'true', '{}', 100, true, 'embeddings'",
        ", k => 3, exact => NULL",
        ", 10::smallint",
        ", k => 10::smallint",
        ", key => NULL::text",
        ", key => NULL",
        ", key => NULL::varchar, k => 4",
        ", k => 4::smallint, key => NULL::char(5)",
        ", NULL::text, 10, 'true', '{}', 100, true, 'embeddings'",
        ", NULL, 10::smallint",
    ],
)
def test_all_forms_are_told_apart_in_every_call(
    documents: psycopg.Connection, arguments: str
) -> None:
    statement = f"SELECT * FROM colbert.search('documents', {QUERY}{arguments})"
    as_text = "key =>" in arguments or arguments.startswith(", NULL")
    found = run(documents, statement)
    assert found == [(str(key) if as_text else key, score) for key, score in ALL]


def test_the_third_argument_by_position_is_k(documents: psycopg.Connection) -> None:
    assert run(documents, f"SELECT * FROM colbert.search('documents', {QUERY}, 2)") == ALL[:2]


@pytest.mark.parametrize(
    "arguments",
    ["2::bigint", "k => 2::bigint", "2.0"]
    + [f"key => NULL::{kind}" for kind in ("smallint", "integer", "bigint", "numeric", "date")],
)
def test_postgresql_finds_no_function_for_other_types(
    documents: psycopg.Connection, arguments: str
) -> None:
    error = refusal(documents, f"SELECT colbert.search('documents', {QUERY}, {arguments})")
    assert error.sqlstate == "42883"


@pytest.mark.parametrize("third", ["'2'", "'a'::text", "key => '2'"])
def test_an_untyped_third_argument_is_told_how_to_name_k(
    documents: psycopg.Connection, third: str
) -> None:
    error = refusal(documents, f"SELECT colbert.search('documents', {QUERY}, {third})")
    assert error.sqlstate == "22023"
    assert primary(error) == "key names a type, it takes no value"
    assert "k => 10, or $3::int" in hint(error)


def test_k_is_a_parameter_of_either_size_in_third_place(documents: psycopg.Connection) -> None:
    """psycopg sends a small number as smallint."""
    statement = f"SELECT * FROM colbert.search(%s, {QUERY}, %s)"
    assert run(documents, statement, "documents", 2) == ALL[:2]
    assert run(documents, statement, "documents", 2**20) == ALL
    run(documents, f"PREPARE small AS SELECT * FROM colbert.search('documents', {QUERY}, $1::int)")
    assert run(documents, "EXECUTE small(2)") == ALL[:2]
    error = refusal(documents, statement, "documents", 2**40)
    assert error.sqlstate == "42883"


@pytest.mark.parametrize(
    ("key_type", "asked", "advice"),
    [
        ("uuid", "", "key => NULL::uuid"),
        ("text", "", "key => NULL::text"),
        ("bigint", ", key => NULL::uuid", "Leave key out"),
        ("numeric", "", "key => NULL::text"),
        ("numeric", ", key => NULL::uuid", "key => NULL::text"),
        ("text", ", key => NULL::uuid", "key => NULL::text"),
    ],
)
def test_keys_of_another_type_are_refused_with_the_type_to_name(
    connection: psycopg.Connection, key_type: str, asked: str, advice: str
) -> None:
    create_table(connection, key=key_type)
    create_index(connection)
    error = refusal(connection, f"SELECT colbert.search('documents', {QUERY}{asked})")
    assert error.sqlstate == "42804"
    assert f'keys of table "public.documents" are of type {key_type}, not ' in primary(error)
    assert advice in hint(error)


@pytest.mark.parametrize(
    ("key_type", "key", "asked"),
    [
        ("char(5)", "abcde", "key => NULL::char(5)"),
        ("text", "abcde", "key => NULL::varchar(2)"),
        ("numeric", 1.5, "key => NULL::text"),
        ("number", "00000000-0000-0000-0000-000000000001", "key => NULL::text"),
        ("number", "00000000-0000-0000-0000-000000000001", "key => NULL::uuid"),
    ],
)
def test_a_key_is_returned_whole(
    connection: psycopg.Connection, key_type: str, key: Any, asked: str
) -> None:
    run(connection, "CREATE DOMAIN inner_number AS uuid; CREATE DOMAIN number AS inner_number")
    create_table(connection, key=key_type)
    insert(connection, {key: A})
    create_index(connection)
    assert run(
        connection, f"SELECT doc_id::text FROM colbert.search('documents', {QUERY}, {asked})"
    ) == [(str(key),)]


@pytest.mark.parametrize(
    ("arguments", "sqlstate", "message"),
    [
        (f"{QUERY}, k => 0", "22023", "k must be at least 1, not 0"),
        (f"{QUERY}, k => NULL::int", "22023", "k must be at least 1, not NULL"),
        (f"{QUERY}, candidates => 0", "22023", "candidates must be a whole number from 1 to"),
        ("NULL", "22004", "query must not be NULL"),
        ("'{}'::vector[]", "22023", "query has no tokens"),
        ("""'{"[1,0,0]",NULL}'::vector[]""", "22004", "query token 2 is NULL"),
        ("""'{{"[1,0,0]"},{"[1,0,0]"}}'::vector[]""", "2202E", "query is an array of 2 dimen"),
        ("""'{"[1,0]"}'::vector[]""", "22000", "query: token 1 has 2 dimensions, expected 3"),
        ("""'{"[0,0,0]"}'::vector[]""", "22023", "query: token 1 is a zero vector"),
        ("""'[3:4]={"[2,0,0]","[0,0,0]"}'::vector[]""", "22023", "query: token 2 is a zero vector"),
        (f"{QUERY}, embeddings => 'nope'", "42704", 'no late-interaction index on column "nope"'),
    ],
)
def test_what_cannot_be_searched_is_refused_with_a_hint(
    documents: psycopg.Connection, arguments: str, sqlstate: str, message: str
) -> None:
    error = refusal(documents, f"SELECT colbert.search('documents', {arguments})")
    assert error.sqlstate == sqlstate
    assert message in primary(error)
    assert hint(error)


def test_neither_null_nor_empty_arrays_are_returned(documents: psycopg.Connection) -> None:
    for more in ("", ", exact => true", ", filter => 'id > 3'"):
        assert {4, 5}.isdisjoint(keys(search(documents, A, more)))


@pytest.mark.parametrize("compression", ["pglz", "lz4"])
def test_a_document_that_compresses_well_is_not_taken_for_an_empty_one(
    connection: psycopg.Connection, compression: str
) -> None:
    create_table(connection)
    try:
        with connection.transaction():
            run(connection, f"ALTER TABLE documents ALTER embeddings SET COMPRESSION {compression}")
    except psycopg.errors.FeatureNotSupported:
        pytest.skip(f"this server has no {compression}")
    run(connection, "ALTER TABLE documents ALTER embeddings SET STORAGE MAIN")
    create_index(connection, "documents", ", method => 'exact'")
    insert(connection, {size: np.repeat(A, size, axis=0) for size in range(90, 130)})
    assert len(search(connection, A, ", k => 100")) == 40


class TestKnobs:
    """Argument before SET before the index's option before the default."""

    @pytest.fixture
    def hard(self, connection: psycopg.Connection) -> psycopg.Connection:
        """Documents that one candidate is not enough for: the best has no single best token."""
        create_table(connection, embeddings="vector(3)[]")
        insert(connection, {1: A, 2: np.concatenate([A, C]), 3: AB})
        create_index(connection, "documents", ', options => \'{"candidates": 77, "hits": 9}\'')
        return connection

    @pytest.mark.parametrize(
        ("argument", "setting", "option", "value"),
        [
            ("5", "6", {"candidates": 7}, 5),
            (None, "6", {"candidates": 7}, 6),
            (None, "", {"candidates": 7}, 7),
            (None, None, {"candidates": 7}, 7),
            (None, None, {}, 8),
        ],
    )
    def test_precedence(
        self,
        connection: psycopg.Connection,
        argument: str | None,
        setting: str | None,
        option: dict[str, int],
        value: int,
    ) -> None:
        if setting is not None:
            run(connection, f"SET colbert.candidates = '{setting}'")
        [[found]] = run(
            connection,
            "SELECT colbert._knob('candidates', %s::int, %s::text::jsonb, 8)",
            argument,
            str(option).replace("'", '"'),
        )
        assert found == value

    @pytest.mark.parametrize("name", ["candidates", "hits", "ef_search"])
    def test_a_setting_that_is_no_whole_number_is_refused(
        self, documents: psycopg.Connection, name: str
    ) -> None:
        for value in ("0", "-1", "many", "1.5", "1e3", "9999999999"):
            run(documents, f"SET colbert.{name} = '{value}'")
            error = refusal(documents, f"SELECT colbert.search('documents', {QUERY}, 2)")
            assert error.sqlstate == "22023"
            message = f'{name} must be a whole number from 1 to 999999999, not "{value}"'
            assert primary(error) == message
            assert f"RESET colbert.{name}" in hint(error)

    def test_nprobe_is_checked_and_used(self, documents: psycopg.Connection) -> None:
        run(documents, "SELECT colbert.drop_index('documents')")
        create_index(documents, "documents", ", method => 'ivfflat', options => '{\"lists\": 3}'")
        run(documents, "SET colbert.nprobe = 'x'")
        error = refusal(documents, f"SELECT colbert.search('documents', {QUERY}, 2)")
        assert primary(error).startswith("nprobe must be a whole number")
        for nprobe in (1, 3, 100000):
            run(documents, f"SET colbert.nprobe = {nprobe}")
            assert search(documents, AB) == ALL

    @pytest.mark.parametrize("setting", ["colbert.hits = 1", "colbert.candidates = 1"])
    def test_too_few_candidates_make_a_search_slower_never_shorter(
        self, hard: psycopg.Connection, setting: str
    ) -> None:
        run(hard, f"SET {setting}")
        assert len(search(hard, AB)) == 3


SETTINGS = """
    SELECT name, setting FROM pg_settings
     WHERE name ~ '^(hnsw|ivfflat|enable_|parallel_|min_parallel|jit|search_path|row_security)'
    UNION ALL
    SELECT n, current_setting(n, true)
      FROM unnest(ARRAY['hnsw.ef_search', 'hnsw.iterative_scan', 'ivfflat.probes',
                        'ivfflat.iterative_scan', 'search_path']) AS n
"""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("given", [False, True], ids=["defaults", "own settings"])
def test_no_setting_leaks_out_of_a_search(
    own_documents: psycopg.Connection, method: str, given: bool
) -> None:
    run(own_documents, "SELECT colbert.drop_index('documents')")
    create_index(own_documents, "documents", f", method => '{method}'")
    own_documents.commit()
    if given:
        run(
            own_documents,
            "SET hnsw.ef_search = 33; SET ivfflat.probes = 3; SET enable_sort = off; SET jit = on; "
            "SET hnsw.iterative_scan = off; SET search_path = public, pg_catalog",
        )
    before = run(own_documents, SETTINGS)
    statement = "SELECT * FROM colbert.search('documents', {}, {})"
    for more in ("2", "2, 'id > 0'"):
        run(own_documents, statement.format(QUERY, more))
        assert run(own_documents, SETTINGS) == before
    for more in ("k => 0", "2, 'nonsense'"):
        refusal(own_documents, statement.format(QUERY, more))
        assert run(own_documents, SETTINGS) == before


@pytest.mark.parametrize("method", METHODS)
def test_the_first_search_of_a_session_leaves_the_settings_of_pgvector_at_their_defaults(
    own_documents: psycopg.Connection, database: str, method: str
) -> None:
    run(own_documents, "SELECT colbert.drop_index('documents')")
    create_index(own_documents, "documents", f", method => '{method}'")
    own_documents.commit()
    with psycopg.connect(database) as fresh:
        assert search(fresh, AB, ", 1") == ALL[:1]
        run(fresh, "SELECT '[1]'::vector")
        names = ["hnsw.ef_search", "hnsw.iterative_scan", "ivfflat.probes"]
        show = "SELECT current_setting(n) FROM unnest(%s::text[]) AS n"
        assert run(fresh, show, names) == [("40",), ("off",), ("1",)]


class TestWhereItIsCalled:
    """A search is an ordinary query, wherever it stands."""

    def test_in_a_read_only_transaction(self, own_documents: psycopg.Connection) -> None:
        own_documents.commit()
        run(own_documents, "SET TRANSACTION READ ONLY")
        assert search(own_documents, AB) == ALL

    def test_uncommitted_changes_are_seen(self, documents: psycopg.Connection) -> None:
        insert(documents, {0: AB})
        run(documents, "DELETE FROM documents WHERE id = 1")
        assert search(documents, AB, ", 2") == [(0, 2.0), (2, 1.0)]

    def test_repeatable_read_sees_one_snapshot(
        self, own_documents: psycopg.Connection, database: str
    ) -> None:
        own_documents.commit()
        with psycopg.connect(database) as reader:
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            assert search(reader, AB, ", 1") == ALL[:1]
            run(own_documents, "DELETE FROM documents")
            insert(own_documents, {9: AB})
            own_documents.commit()
            assert search(reader, AB, ", 3") == ALL

    def test_prepared_with_generic_and_custom_plans(self, documents: psycopg.Connection) -> None:
        run(
            documents,
            "PREPARE find(vector[], int, text) AS "
            "SELECT * FROM colbert.search('documents', $1, $2, $3)",
        )
        for mode in ("force_generic_plan", "force_custom_plan", "auto"):
            run(documents, f"SET plan_cache_mode = {mode}")
            for _ in range(7):
                assert run(documents, f"EXECUTE find({QUERY}, 2, 'id > 1')") == ALL[1:]

    @pytest.mark.parametrize("volatility", ["STABLE", "VOLATILE"])
    def test_inside_a_function(self, documents: psycopg.Connection, volatility: str) -> None:
        run(
            documents,
            f"""CREATE FUNCTION best(q vector[]) RETURNS bigint LANGUAGE plpgsql {volatility}
                SET search_path = '' AS $$
                DECLARE found bigint;
                BEGIN
                  SELECT s.doc_id INTO found FROM colbert.search('public.documents', q, 1) AS s;
                  RETURN found;
                END $$""",
        )
        for _ in range(7):
            assert run(documents, f"SELECT best({QUERY})") == [(1,)]

    def test_once_for_each_row_of_a_query_that_could_run_in_parallel(
        self, documents: psycopg.Connection
    ) -> None:
        run(
            documents,
            "SET debug_parallel_query = on; SET parallel_setup_cost = 0; "
            "SET min_parallel_table_scan_size = 0",
        )
        assert run(
            documents,
            f"SELECT d.id, s.doc_id, s.score FROM documents AS d, "
            f"colbert.search('documents', {QUERY}, 1) AS s WHERE d.id < 3 ORDER BY 1",
        ) == [(1, 1, 2.0), (2, 1, 2.0)]
        assert run(
            documents,
            "SELECT d.id, s.doc_id FROM documents AS d, LATERAL "
            "colbert.search('documents', d.embeddings, 1) AS s WHERE d.id < 4 ORDER BY 1",
        ) == [(1, 1), (2, 1), (3, 3)]

    def test_with_a_hostile_search_path(self, documents: psycopg.Connection) -> None:
        run(
            documents,
            "CREATE FUNCTION boom(varchar, varchar) RETURNS bool LANGUAGE plpgsql "
            "AS $$ BEGIN RAISE 'planted'; END $$; "
            "CREATE OPERATOR = (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = boom)",
        )
        create_table(documents, "notes", key="varchar")
        insert(documents, {"x": AB, "y": A}, "notes")
        create_index(documents, "notes")
        for more in ("", ", 'true'"):
            found = run(
                documents,
                f"SELECT doc_id FROM colbert.search('notes', {QUERY}, NULL::varchar, 1{more})",
            )
            assert found == [("x",)]


def test_without_an_index_the_table_is_named(connection: psycopg.Connection) -> None:
    create_table(connection)
    error = refusal(connection, f"SELECT colbert.search('documents', {QUERY})")
    assert error.sqlstate == "42704"
    assert 'table "public.documents" has no late-interaction index' in primary(error)
    assert "create_index('public.documents')" in hint(error)


class TestRerank:
    """rerank: exact scores for keys that another stage found."""

    @pytest.mark.parametrize("kind", ["bigint", "integer", "smallint"])
    def test_ids_of_any_number_type_duplicates_nulls_and_unknown_ones(
        self, documents: psycopg.Connection, kind: str
    ) -> None:
        ids = f"'{{3,1,1,NULL,99,5,4,2}}'::{kind}[]"
        for more, expected in (("", ALL), (", 2", ALL[:2])):
            statement = f"SELECT * FROM colbert.rerank('documents', {QUERY}, {ids}{more})"
            assert run(documents, statement) == expected
        typed = (
            f"SELECT pg_typeof(doc_id)::text FROM colbert.rerank('documents', {QUERY}, {ids}, 1)"
        )
        assert run(documents, typed) == [("bigint",)]

    def test_ids_are_a_parameter(self, documents: psycopg.Connection) -> None:
        """psycopg sends small numbers as smallint[], and texts untyped."""
        statement = f"SELECT * FROM colbert.rerank('documents', {QUERY}, %s, k => %s)"
        assert run(documents, statement, [3, 1, 2**20], 2) == [ALL[0], ALL[2]]
        as_text = statement.replace("%s,", "%s::text[],")
        assert run(documents, as_text, ["3", "1"], 1) == [("1", 2.0)]
        assert refusal(documents, statement, ["3", "1"], 1).sqlstate == "42725"

    @pytest.mark.parametrize("kind", ["varchar", "name", "uuid"])
    def test_ids_of_the_type_of_the_keys(self, connection: psycopg.Connection, kind: str) -> None:
        create_table(connection, key=kind)
        key = "00000000-0000-0000-0000-000000000001"
        insert(connection, {key: A})
        create_index(connection)
        statement = (
            f"SELECT doc_id::text FROM colbert.rerank('documents', {QUERY}, ARRAY[%s::{kind}])"
        )
        assert run(connection, statement, key) == [(key,)]

    def test_ids_of_another_type_are_refused(self, documents: psycopg.Connection) -> None:
        ids = "ARRAY[gen_random_uuid()]"
        error = refusal(documents, f"SELECT colbert.rerank('documents', {QUERY}, {ids})")
        assert error.sqlstate == "42804"
        assert "ids of type bigint[]" in hint(error)

    @pytest.mark.parametrize("ids", ["'{}'", "'{NULL}'", "NULL", "'{77}'"])
    def test_no_known_ids_give_no_rows(self, documents: psycopg.Connection, ids: str) -> None:
        statement = f"SELECT * FROM colbert.rerank('documents', {QUERY}, {ids}::bigint[])"
        assert run(documents, statement) == []

    def test_ids_with_any_lower_bound_and_number_of_dimensions(
        self, documents: psycopg.Connection
    ) -> None:
        for ids in ("[5:6]={2,1}", "{{2},{1}}"):
            statement = f"SELECT * FROM colbert.rerank('documents', {QUERY}, '{ids}'::int[])"
            assert run(documents, statement) == ALL[:2]

    def test_k_is_checked(self, documents: psycopg.Connection) -> None:
        error = refusal(documents, f"SELECT colbert.rerank('documents', {QUERY}, ARRAY[1], 0)")
        assert primary(error) == "k must be at least 1, not 0"

    @pytest.mark.parametrize(
        ("kind", "ids"),
        [
            ("varchar(3)", "ARRAY['abcdef']"),
            ("smallint", "ARRAY[100000]"),
        ],
    )
    def test_ids_that_no_key_can_be_are_left_out(
        self, connection: psycopg.Connection, kind: str, ids: str
    ) -> None:
        create_table(connection, key=kind)
        insert(connection, {"abc" if "char" in kind else 1: A})
        create_index(connection)
        assert run(connection, f"SELECT * FROM colbert.rerank('documents', {QUERY}, {ids})") == []

    def test_it_reads_the_table_through_its_primary_key(
        self, own_connection: psycopg.Connection, rng: np.random.Generator
    ) -> None:
        create_table(own_connection)
        insert(own_connection, unit_documents(rng, 3000, 1))
        create_index(own_connection)
        run(own_connection, "ANALYZE documents")
        own_connection.commit()
        scans = (
            "SELECT pg_stat_get_xact_numscans('documents_pkey'::regclass), "
            "pg_stat_get_xact_numscans('documents'::regclass)"
        )
        [before] = run(own_connection, scans)
        statement = "SELECT * FROM colbert.rerank('documents', %s::text[]::vector[], ARRAY[5, 6])"
        assert len(run(own_connection, statement, texts(A))) == 2
        [after] = run(own_connection, scans)
        assert after[0] > before[0]
        assert after[1] == before[1]


@pytest.mark.parametrize("method", METHODS)
def test_k_may_be_larger_than_any_table(connection: psycopg.Connection, method: str) -> None:
    create_table(connection)
    insert(connection, {1: AB, 2: A})
    create_index(connection, "documents", f", method => '{method}'")
    for k in (10**9, 2**31 - 1):
        assert keys(search(connection, AB, f", k => {k}")) == [1, 2]
