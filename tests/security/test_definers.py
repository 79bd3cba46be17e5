"""Whose rights functions run with, and what somebody who may do little could make of them."""

import re
from collections.abc import Callable

import psycopg
import pytest

from tests.servers import as_role
from tests.sql.documents import METHODS, create_index, create_table, hint, primary, refusal, run


def test_no_function_of_the_schema_runs_with_the_rights_of_another(
    connection: psycopg.Connection,
) -> None:
    definers = run(
        connection,
        "SELECT p.oid::regprocedure FROM pg_proc p "
        "WHERE p.pronamespace = 'colbert'::regnamespace AND p.prosecdef",
    )
    assert definers == []


def test_every_function_in_plpgsql_pins_its_search_path(connection: psycopg.Connection) -> None:
    loose = run(
        connection,
        "SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang "
        "WHERE p.pronamespace = 'colbert'::regnamespace AND l.lanname = 'plpgsql' "
        "AND p.prokind <> 'p' "
        "AND NOT coalesce(p.proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp']",
    )
    assert loose == []


def test_a_procedure_that_commits_names_the_schema_of_all_it_calls(
    connection: psycopg.Connection,
) -> None:
    """It may have no SET clause, and runs under its caller's search_path."""
    procedures = run(
        connection,
        "SELECT p.proname::text, p.prosrc, p.proconfig FROM pg_proc p"
        " WHERE p.pronamespace = 'colbert'::regnamespace AND p.prokind = 'p'",
    )
    assert {name for name, _, _ in procedures} == {
        "_run_build",
        "create_index_concurrently",
        "encode_query",
        "maintain",
        "reindex_concurrently",
    }
    for _, body, config in procedures:
        assert config is None
        assert re.findall(r"(?<![.\w])[a-z_]+\(", body) == []
        assert re.findall(r"[=<>+*/%|-]", re.sub(":=", "", body)) == []


@pytest.mark.parametrize("method", METHODS)
def test_the_trigger_function_is_of_use_to_its_triggers_alone(
    own_connection: psycopg.Connection, database: str, new_role: Callable[[], str], method: str
) -> None:
    """It is SECURITY DEFINER: pinned, the owner's, and nobody else may attach or call it."""
    role = new_role()
    create_table(own_connection)
    create_index(own_connection, "documents", f", method => '{method}'")
    run(
        own_connection, f"GRANT CREATE ON SCHEMA public TO {role}; GRANT ALL ON documents TO {role}"
    )
    own_connection.commit()
    [(secure, config, owner, called)] = run(
        own_connection,
        "SELECT prosecdef, proconfig, proowner = "
        "(SELECT relowner FROM pg_class WHERE oid = 'documents'::regclass), "
        "has_function_privilege('public', oid, 'EXECUTE') "
        "FROM pg_proc WHERE proname = 'colbert_sync_1'",
    )
    assert (secure, config, owner) == (True, ["search_path=pg_catalog, pg_temp"], True)
    assert not called
    with psycopg.connect(as_role(database, role)) as attacker:
        run(attacker, "CREATE TABLE mine (id bigint, embeddings vector(3)[])")
        attach = (
            "CREATE TRIGGER t AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION colbert_sync_1()"
        )
        assert refusal(attacker, attach).sqlstate == "42501"
        assert refusal(attacker, "SELECT colbert_sync_1()").sqlstate == "42501"
        if method != "exact":
            assert refusal(attacker, "SELECT colbert._sync_truncate(1)").sqlstate == "42501"


@pytest.mark.parametrize(
    "planted",
    [
        "INSERT INTO colbert._index (id, source, embeddings, key, method, options, dimensions) "
        "SELECT n, 'mine', 'c' || n, 'id', 'exact', '{}', 3 FROM generate_series(1, 9) AS n",
        "UPDATE colbert._index SET id = id + 1",
        "SELECT setval('colbert._index_id_seq', 1)",
    ],
)
def test_nobody_takes_the_ids_of_indexes_to_come(
    own_connection: psycopg.Connection, database: str, new_role: Callable[[], str], planted: str
) -> None:
    """Or create_index of another role would fail, or meet what is not its own."""
    role = new_role()
    run(own_connection, f"GRANT CREATE ON SCHEMA public TO {role}")
    own_connection.commit()
    with psycopg.connect(as_role(database, role)) as attacker:
        run(attacker, "CREATE TABLE mine (id bigint PRIMARY KEY, embeddings vector(3)[])")
        run(attacker, "SELECT colbert.create_index('mine', method => 'exact')")
        attacker.commit()
        assert refusal(attacker, planted).sqlstate == "42501"
    create_table(own_connection)
    create_index(own_connection)
    assert run(own_connection, "SELECT max(id) FROM colbert._index") == [(2,)]


@pytest.mark.parametrize("name", ["candidates", "hits", "nprobe", "patience"])
def test_a_setting_is_a_number_and_nothing_else(documents: psycopg.Connection, name: str) -> None:
    run(documents, "SELECT set_config(%s, %s, false)", f"colbert.{name}", "1; DROP TABLE documents")
    method = "plaid" if name == "nprobe" else "hnsw"
    run(documents, "SELECT colbert.drop_index('documents')")
    create_index(documents, "documents", f", method => '{method}'")
    error = refusal(
        documents, "SELECT colbert.search('documents', '{\"[1,0,0]\"}'::vector[], k => 2)"
    )
    assert error.sqlstate == "22023"
    assert hint(error)


def test_params_are_data(documents: psycopg.Connection) -> None:
    for value in ("'); DROP TABLE documents; --", "$1", '"]}', "\\'", "%s %I"):
        found = run(
            documents,
            "SELECT doc_id FROM colbert.search('documents', '{\"[1,0,0]\"}'::vector[], "
            "filter => 'lang = params->>0', params => jsonb_build_array(%s::text))",
            value,
        )
        assert found == []


def test_a_trigger_function_that_somebody_planted_is_not_taken_over(
    own_connection: psycopg.Connection, database: str, new_role: Callable[[], str]
) -> None:
    attacker, accomplice, owner = new_role(), new_role(), new_role()
    run(own_connection, f"GRANT CREATE ON SCHEMA public TO {attacker}, {accomplice}, {owner}")
    own_connection.commit()
    attach = "CREATE TRIGGER t AFTER INSERT ON {} FOR EACH ROW EXECUTE FUNCTION colbert_sync_{}()"
    with psycopg.connect(as_role(database, attacker)) as planting:
        run(planting, "CREATE TABLE bait (id bigint, embeddings vector(3)[])")
        for number in (1, 2):
            run(
                planting,
                f"CREATE FUNCTION colbert_sync_{number}() RETURNS trigger LANGUAGE plpgsql "
                f"AS 'BEGIN END'; GRANT EXECUTE ON FUNCTION colbert_sync_{number} TO {accomplice}",
            )
        run(planting, attach.format("bait", 1))
    create_table(own_connection)
    run(own_connection, f"ALTER TABLE documents OWNER TO {owner}")
    error = refusal(own_connection, "SELECT colbert.create_index('documents')")
    assert error.sqlstate == "42723"
    assert "colbert_sync_1() is in the way" in primary(error)
    create_index(own_connection)
    assert run(own_connection, "SELECT id FROM colbert._index") == [(2,)]
    own_connection.commit()
    with psycopg.connect(as_role(database, accomplice)) as session:
        run(session, "CREATE TABLE mine (id bigint, embeddings vector(3)[])")
        assert refusal(session, attach.format("mine", 2)).sqlstate == "42501"
