"""The wheel and the sdist as others get them: built, installed where nothing is, searched with."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import REPOSITORY, private_directory, run

SEARCH = '''
"""In an environment that has nothing but the wheel: install, write vectors, search with vectors."""
import importlib.metadata
import importlib.util
import sys

import numpy as np
import psycopg
from colbert_pg import Client, EmbeddedServer

assert importlib.util.find_spec("torch") is None
assert "site-packages" in sys.modules["colbert_pg"].__file__
assert importlib.metadata.version("colbert_pg") == sys.argv[2]

rng = np.random.default_rng(1)
documents = [rng.normal(size=(length, 16)) for length in (3, 5, 8)]
documents = [d / np.linalg.norm(d, axis=1, keepdims=True) for d in documents]
with (
    EmbeddedServer(sys.argv[1]) as server,
    psycopg.connect(server.url, autocommit=True) as connection,
):
    connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    client = Client(connection)
    client.install()
    connection.execute(
        "CREATE TABLE documents (id bigserial PRIMARY KEY, content text, embeddings vector(16)[])"
    )
    client.create_index("documents")
    client.add("documents", ["first", "second", "third"], embeddings=documents)
    for place, query in enumerate(documents, start=1):
        best = client.search("documents", query, k=1)[0]
        assert best.doc_id == place, best
        assert abs(best.score - len(query)) < 1e-4, best
print("found")
'''


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel that is built from it."""
    directory = tmp_path_factory.mktemp("packages")
    run([sys.executable, "-m", "build", "--outdir", str(directory), str(REPOSITORY)])
    (sdist,) = directory.glob("*.tar.gz")
    (wheel,) = directory.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def empty_environment() -> Iterator[Path]:
    """The directory of an environment that holds nothing but pip; the server may enter it."""
    with private_directory() as directory:
        venv.create(directory / "venv", with_pip=True)
        for path in (directory, *directory.rglob("*")):
            if path.is_dir() and not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o755)
        yield directory


def test_the_wheel_has_the_package_and_its_sql(packages: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(packages[1]) as wheel:
        names = set(wheel.namelist())
    package = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "colbert_pg").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert package <= names
    assert {"colbert_pg/sql/install.sql", "colbert_pg/sql/uninstall.sql"} <= names
    assert not [name for name in names if name.startswith(("tests/", "docs/", "benchmarks/"))]


def test_the_sdist_has_what_building_and_testing_need(packages: tuple[Path, Path]) -> None:
    with tarfile.open(packages[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    left_out = {name for name in tracked.stdout.splitlines() if name not in names}
    assert left_out <= {".gitignore"}


def test_the_wheel_is_installed_where_nothing_is_and_searched_with(
    packages: tuple[Path, Path], empty_environment: Path
) -> None:
    python = empty_environment / "venv" / "bin" / "python"
    wheel = packages[1]
    run([str(python), "-m", "pip", "install", "--quiet", f"{wheel}[embedded]"])
    run([str(python), "-m", "pip", "check"])
    done = subprocess.run(
        [python, "-I", "-c", SEARCH, empty_environment / "data", wheel.name.split("-")[1]],
        cwd=empty_environment,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "found"
