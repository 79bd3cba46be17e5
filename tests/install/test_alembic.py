"""The revisions in alembic/: up, down, and as a script."""

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.installing import alembic, install_with_alembic
from tests.servers import REPOSITORY, psql, sqlalchemy_url


def schema(conninfo: str) -> str | None:
    with psycopg.connect(conninfo) as connection:
        row = connection.execute("SELECT to_regnamespace('colbert')::text").fetchone()
        assert row
        name: str | None = row[0]
        return name


def test_upgrade_installs_and_downgrade_removes(vector_database: str) -> None:
    install_with_alembic(vector_database)
    assert schema(vector_database) == "colbert"
    install_with_alembic(vector_database)
    alembic(vector_database, "downgrade", "base")
    assert schema(vector_database) is None
    install_with_alembic(vector_database)
    assert schema(vector_database) == "colbert"


def test_offline_script_installs_and_removes(vector_database: str, tmp_path: Path) -> None:
    for arguments, expected in (
        (("upgrade", "head"), "colbert"),
        (("downgrade", "0002:base"), None),
    ):
        script = tmp_path / "script.sql"
        with script.open("w", encoding="utf-8") as file:
            subprocess.run(
                [sys.executable, "-m", "alembic", *arguments, "--sql"],
                check=True,
                cwd=REPOSITORY,
                stdout=file,
            )
        done = psql(vector_database, "-v", "ON_ERROR_STOP=1", "-f", str(script))
        assert (done.returncode, done.stderr) == (0, "")
        assert schema(vector_database) == expected


def test_upgrade_without_pgvector_leaves_nothing(bare_database: str) -> None:
    with pytest.raises(RuntimeError, match="CREATE EXTENSION vector"):
        install_with_alembic(bare_database)
    with psycopg.connect(bare_database) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ).fetchall()
    assert tables == []


def test_url_comes_from_the_environment_or_is_asked_for(vector_database: str) -> None:
    command = [sys.executable, "-m", "alembic", "current"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, env={})
    assert done.returncode != 0
    assert "COLBERT_PG_URL" in done.stdout + done.stderr
    plain = sqlalchemy_url(vector_database).replace("postgresql+psycopg:", "postgresql:")
    subprocess.run(command, cwd=REPOSITORY, check=True, env={"COLBERT_PG_URL": plain})
