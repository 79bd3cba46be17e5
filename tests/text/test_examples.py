"""The examples for other languages run, where their tools and packages are."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.pooling import over_tcp
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
    printed = run_example(database, [node, f"{program}.mjs"], tmp_path)
    assert printed == ["text: the baker sells bread and rolls", second]


def test_go(database: str, tmp_path: Path) -> None:
    """GOPATH names a folder with pgx's source in it, as Debian's golang-github-jackc-pgx-v5-dev."""
    path = os.environ.get("GOPATH", "/usr/share/gocode")
    if not (go := shutil.which("go")):
        pytest.skip("there is no Go")
    if not (Path(path) / "src/github.com/jackc/pgx/v5").is_dir():
        pytest.skip("GOPATH names no folder with pgx 5")
    shutil.copy(EXAMPLES / "pgx.go", tmp_path)
    caches = {"GOCACHE": str(tmp_path / "cache"), "GOTELEMETRY": "off"}
    environment = {"GO111MODULE": "off", "GOPATH": path, "CGO_ENABLED": "0", **caches}
    run_example(database, [go, "build", "pgx.go"], tmp_path, **environment)
    printed = run_example(database, ["./pgx"], tmp_path)
    assert printed == ["text: the baker sells bread and rolls", "binary: 2"]


def test_java(database: str, tmp_path: Path) -> None:
    """JDBC_JAR names the driver, as in Debian's libpostgresql-jdbc-java."""
    jar = Path(os.environ.get("JDBC_JAR", "/usr/share/java/postgresql.jar"))
    if not (java := shutil.which("java")) or not shutil.which("javac"):
        pytest.skip("there is no Java to compile with")
    if not jar.exists():
        pytest.skip("there is no JDBC driver")
    with over_tcp(database) as conninfo:  # Java knows no sockets of Unix
        parts = conninfo_to_dict(conninfo)
        url = "jdbc:postgresql://{host}:{port}/{dbname}?user={user}".format(**parts)
        program = [java, "-cp", str(jar), str(EXAMPLES / "Jdbc.java")]
        printed = run_example(database, program, tmp_path, DATABASE_URL=url)
    assert printed == ["text: the baker sells bread and rolls", "binary: 2"]


def run_example(database: str, command: list[str], folder: Path, **variables: str) -> list[str]:
    """The lines that a program prints, whose connection comes in libpq's environment variables."""
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
            command,
            cwd=folder,
            env={**environment, **address, "DIMENSIONS": "32", **variables},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
