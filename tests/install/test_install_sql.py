"""install.sql: where it refuses, what it needs, and that running it again changes nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import errors, sql

from tests.install.snapshot import snapshot
from tests.installing import INSTALL_SQL, install_with_psql
from tests.servers import as_role, psql

SCRIPT = INSTALL_SQL.read_text(encoding="utf-8")


def install(connection: psycopg.Connection, script: str = SCRIPT) -> None:
    connection.execute(script.encode())


def schema_exists(conninfo: str) -> bool:
    with psycopg.connect(conninfo) as connection:
        row = connection.execute("SELECT to_regnamespace('colbert') IS NOT NULL").fetchone()
        assert row
        return bool(row[0])


def settings(connection: psycopg.Connection) -> dict[str, str]:
    rows: list[tuple[str, str]]
    rows = connection.execute("SELECT name, setting FROM pg_settings").fetchall()
    return dict(rows)


def test_rerun_changes_nothing(vector_database: str) -> None:
    install_with_psql(vector_database)
    first = snapshot(vector_database)
    install_with_psql(vector_database)
    assert snapshot(vector_database) == first


def test_install_through_psql_is_quiet(vector_database: str) -> None:
    done = psql(vector_database, "-1", "-v", "ON_ERROR_STOP=1", "-f", str(INSTALL_SQL))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_rerun_mends_a_changed_function(vector_database: str) -> None:
    install_with_psql(vector_database)
    first = snapshot(vector_database)
    with psycopg.connect(vector_database) as connection:
        connection.execute(
            "CREATE OR REPLACE FUNCTION colbert.version() RETURNS text STABLE PARALLEL SAFE "
            "LANGUAGE sql RETURN 'another'"
        )
    assert snapshot(vector_database) != first
    install_with_psql(vector_database)
    assert snapshot(vector_database) == first


def test_a_driver_installs_in_one_call(vector_database: str) -> None:
    with psycopg.connect(vector_database) as connection:
        install(connection)
    assert schema_exists(vector_database)


def test_a_driver_in_autocommit_installs_in_one_call(vector_database: str) -> None:
    with psycopg.connect(vector_database, autocommit=True) as connection:
        install(connection)
    assert schema_exists(vector_database)


def test_rollback_leaves_nothing(vector_database: str) -> None:
    with psycopg.connect(vector_database) as connection:
        install(connection)
        connection.rollback()
    assert not schema_exists(vector_database)


def test_caller_gets_its_settings_back_inside_the_transaction(vector_database: str) -> None:
    with psycopg.connect(vector_database) as connection:
        before = settings(connection)
        connection.execute("SET LOCAL search_path = pg_catalog, public, nowhere")
        connection.execute("SET LOCAL client_min_messages = 'debug1'")
        install(connection)
        assert connection.execute("SHOW client_min_messages").fetchone() == ("debug1",)
        connection.execute("SET LOCAL client_min_messages TO DEFAULT")
        row = connection.execute("SHOW search_path").fetchone()
        assert row == ("pg_catalog, public, nowhere",)
        connection.execute("SET LOCAL search_path TO DEFAULT")
        after = settings(connection)
        # pgvector's own settings appear with its library; the ones that were there stay.
        assert {name: after[name] for name in before} == before


OPTIONS = [(), ("-1",), ("-v", "ON_ERROR_STOP=1"), ("-1", "-v", "ON_ERROR_STOP=1")]


@pytest.mark.parametrize("options", OPTIONS)
def test_psql_installs_with_any_options(
    options: tuple[str, ...], vector_database: str, database: str
) -> None:
    done = psql(vector_database, *options, "-f", str(INSTALL_SQL))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert snapshot(vector_database) == snapshot(database)


@pytest.mark.parametrize("options", OPTIONS)
def test_the_first_error_is_the_only_one_and_leaves_nothing(
    options: tuple[str, ...], vector_database: str, tmp_path: Path
) -> None:
    broken = tmp_path / "install.sql"
    middle = "CREATE OR REPLACE FUNCTION colbert._score_candidates("
    assert SCRIPT.count(middle) == 1
    broken.write_text(SCRIPT.replace(middle, f"SELECT 1 / 0;\n{middle}"), encoding="utf-8")
    done = psql(vector_database, *options, "-f", str(broken))
    assert done.stderr.count("ERROR:") == 1
    assert "ERROR:  division by zero" in done.stderr
    assert not schema_exists(vector_database)


def test_an_error_is_told_without_the_script(bare_database: str) -> None:
    done = psql(bare_database, "-f", str(INSTALL_SQL))
    assert "HINT:  Run CREATE EXTENSION vector" in done.stderr
    assert len(done.stderr.splitlines()) < 6


def test_it_is_a_single_statement(vector_database: str) -> None:
    """So that drivers that take one statement at a time run it."""
    with psycopg.connect(vector_database) as connection:
        connection.execute(SCRIPT.replace("%", "%%").encode(), [])  # the extended protocol
    assert schema_exists(vector_database)


def test_missing_pgvector_is_named_with_its_remedy(bare_database: str) -> None:
    with psycopg.connect(bare_database) as connection:
        with pytest.raises(errors.UndefinedObject, match="needs pgvector") as raised:
            install(connection)
        assert "CREATE EXTENSION vector" in str(raised.value.diag.message_hint)


@pytest.mark.parametrize("version", ["0.7.4", "0.7.4-dev", "0.5"])
def test_old_pgvector_is_refused(version: str, vector_database: str) -> None:
    with psycopg.connect(vector_database) as connection:
        connection.execute(
            "UPDATE pg_extension SET extversion = %s WHERE extname = 'vector'", [version]
        )
        with pytest.raises(errors.FeatureNotSupported, match=r"pgvector 0\.8\.0") as raised:
            install(connection)
        assert version in str(raised.value.diag.message_detail)


@pytest.mark.parametrize("version", ["0.8.0", "0.10.0", "1.0"])
def test_newer_pgvector_is_accepted(version: str, vector_database: str) -> None:
    with psycopg.connect(vector_database) as connection:
        connection.execute(
            "UPDATE pg_extension SET extversion = %s WHERE extname = 'vector'", [version]
        )
        install(connection)


def test_old_postgresql_is_refused(vector_database: str) -> None:
    assert SCRIPT.count("< 150000") == 1
    with (
        psycopg.connect(vector_database) as connection,
        pytest.raises(errors.FeatureNotSupported, match="PostgreSQL 15 or newer"),
    ):
        install(connection, SCRIPT.replace("< 150000", "< 990000"))


def test_installed_extension_is_refused(vector_database: str) -> None:
    with psycopg.connect(vector_database) as connection:
        connection.execute("CREATE EXTENSION colbert_pg")
        with pytest.raises(errors.ObjectNotInPrerequisiteState) as raised:
            install(connection)
        assert "ALTER EXTENSION colbert_pg UPDATE" in str(raised.value.diag.message_hint)


def test_newer_installed_version_is_refused(vector_database: str) -> None:
    install_with_psql(vector_database)
    with psycopg.connect(vector_database) as connection:
        connection.execute("INSERT INTO colbert._migration VALUES ('9999_later', '0.10.0')")
        with pytest.raises(errors.ObjectNotInPrerequisiteState, match="newer colbert_pg"):
            install(connection)


def test_role_with_create_on_the_database_installs(
    vector_database: str, new_role: Callable[[], str]
) -> None:
    role = new_role()
    with psycopg.connect(vector_database) as connection:
        connection.execute(
            sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(
                sql.Identifier(connection.info.dbname), sql.Identifier(role)
            )
        )
    for _ in range(2):
        install_with_psql(as_role(vector_database, role))
    with psycopg.connect(vector_database) as connection:
        owners = connection.execute(
            "SELECT DISTINCT proowner::regrole::text FROM pg_proc "
            "WHERE pronamespace = 'colbert'::regnamespace"
        ).fetchall()
    assert owners == [(role,)]


def test_role_without_create_on_the_database_gets_postgresqls_error(
    vector_database: str, new_role: Callable[[], str]
) -> None:
    with (
        psycopg.connect(as_role(vector_database, new_role())) as connection,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        install(connection)


def test_schema_of_another_role_is_refused(
    vector_database: str, new_role: Callable[[], str]
) -> None:
    """Or what that role planted there would run with the rights of whoever installs."""
    role = new_role()
    with psycopg.connect(vector_database) as connection:
        connection.execute(
            sql.SQL("CREATE SCHEMA colbert AUTHORIZATION {}").format(sql.Identifier(role))
        )
        with pytest.raises(errors.InsufficientPrivilege, match=role) as raised:
            install(connection)
        assert "SET ROLE" in str(raised.value.diag.message_hint)


def test_pgvector_may_live_in_any_schema(bare_database: str, database: str) -> None:
    with psycopg.connect(bare_database) as connection:
        connection.execute('CREATE SCHEMA "Extra s"')
        connection.execute('CREATE EXTENSION vector SCHEMA "Extra s"')
    install_with_psql(bare_database)
    there = snapshot(bare_database)
    # As in public, but for the schema that types and operators are printed with.
    here = snapshot(database)
    assert {printed_without(name, '"Extra s"') for name in there} == {
        printed_without(name, "public") for name in here
    }


def printed_without(name: tuple[str, str], schema: str) -> tuple[str, str]:
    kind, text = name
    for quoted in (schema, schema.replace('"', r"\"")):
        text = text.replace(f"{quoted}.", "")
    return kind, text.replace('\\"', "").replace('"', "")


def test_twenty_installs_at_once_all_succeed(vector_database: str) -> None:
    def one(_: int) -> None:
        with psycopg.connect(vector_database) as connection:
            install(connection)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(one, range(20)))
    at_once = snapshot(vector_database)
    install_with_psql(vector_database)
    assert snapshot(vector_database) == at_once


def test_failure_in_the_middle_leaves_nothing(vector_database: str, tmp_path: Path) -> None:
    broken = tmp_path / "install.sql"
    broken.write_text(SCRIPT + "SELECT 1 / 0;\n", encoding="utf-8")
    done = psql(vector_database, "-1", "-v", "ON_ERROR_STOP=1", "-f", str(broken))
    assert "division by zero" in done.stderr
    assert not schema_exists(vector_database)
