"""The examples for other languages run, where their tools and packages are."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.servers import REPOSITORY
from tests.text.test_asking import working

EXAMPLES = REPOSITORY / "examples"


@pytest.mark.parametrize(
    ("program", "package", "second"),
    [("node_postgres", "pg", "binary: 2"), ("postgres_js", "postgres", "vectors: 2")],
)
def test_javascript(database: str, tmp_path: Path, program: str, package: str, second: str) -> None:
    """NODE_PATH names a folder node_modules with the packages pg and postgres."""
    modules = Path(os.environ.get("NODE_PATH", REPOSITORY / "node_modules"))
    if not (node := shutil.which("node")):
        pytest.skip("there is no Node")
    if not (modules / package).is_dir():
        pytest.skip(f"NODE_PATH names no folder with the package {package}")
    shutil.copy(EXAMPLES / f"{program}.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(modules)
    with psycopg.connect(database) as connection:
        info = connection.info
        address = {
            "PGHOST": info.host,
            "PGPORT": str(info.port),
            "PGUSER": info.user,
            "PGDATABASE": info.dbname,
            "PGPASSWORD": info.password or "",
        }
    environment = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
    with working(database):
        done = subprocess.run(
            [node, f"{program}.mjs"],
            cwd=tmp_path,
            env={**environment, **address, "DIMENSIONS": "32"},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["text: the baker sells bread and rolls", second]
