"""The site that `make docs` builds: every page is in it, and a broken link fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from docs.hooks import BROUGHT_IN, with_links_of_the_site
from tests.servers import REPOSITORY

CONFIG = REPOSITORY / "mkdocs.yml"
QUIET = {"NO_MKDOCS_2_WARNING": "1"}


def rewritten(text: str, repo_url: str | None = None) -> str:
    """What becomes of a page docs/errors.md with this text."""
    docs = REPOSITORY / "docs"
    pages = {docs / "text-in.md": "text-in.md"}
    pages |= {REPOSITORY / path: uri for path, uri in BROUGHT_IN.items()}
    return with_links_of_the_site(text, docs / "errors.md", pages, repo_url)


def test_the_site_builds_with_every_page_and_no_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m mkdocs build --strict --quiet -f {CONFIG} -d {tmp_path}".split(),
        env=os.environ | QUIET,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    pages = {path.stem for path in (REPOSITORY / "docs").glob("*.md")}
    pages |= {Path(uri).stem for uri in BROUGHT_IN.values() if uri.endswith(".md")}
    built = {path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("index.html")}
    assert built == (pages - {"index"}) | {"."}
    assert not list(tmp_path.rglob("*.py"))


@pytest.mark.parametrize(
    ("link", "becomes"),
    [
        ("[text](text-in.md#rights)", "[text](text-in.md#rights)"),
        ("[home](../README.md#storing)", "[home](index.md#storing)"),
        ("![plot](../benchmarks/results/methods.svg)", "![plot](methods.svg)"),
        ("[here](#messages)", "[here](#messages)"),
        ("[there](https://www.postgresql.org)", "[there](https://www.postgresql.org)"),
        ("[the file](../sql/README.md)", "the file (`sql/README.md`)"),
        ("[sql/README.md](../sql/README.md)", "`sql/README.md`"),
        ("```text\n[code](../sql/README.md)\n```", "```text\n[code](../sql/README.md)\n```"),
    ],
)
def test_links_of_the_repository_become_links_of_the_site(link: str, becomes: str) -> None:
    assert rewritten(link) == becomes


def test_links_out_of_the_site_lead_to_the_repository_that_is_named() -> None:
    links = rewritten("[the file](../sql/README.md)", repo_url="https://example.org/colbert_pg/")
    assert links == "[the file](https://example.org/colbert_pg/blob/HEAD/sql/README.md)"


def test_a_link_to_nowhere_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    rewritten("[nowhere](../sql/nowhere.md)")
    assert "errors.md has a link to ../sql/nowhere.md, which is not there" in caplog.text
