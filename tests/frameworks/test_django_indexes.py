"""Indexes in Meta: what makemigrations writes of them, what that does, and the system checks."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.postgres.fields import ArrayField
from django.core.checks import CheckMessage
from django.core.exceptions import FieldError
from django.db import NotSupportedError, connection, models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.writer import OperationWriter
from django.test.utils import isolate_apps
from pgvector.django import VectorField

from colbert_pg.django import LateInteractionIndex, checks
from colbert_pg.options import Options
from tests.docs.blocks import blocks
from tests.frameworks.library import site  # noqa: F401  # sets Django up
from tests.frameworks.library.models import Note
from tests.frameworks.project import Project
from tests.servers import REPOSITORY

SETTINGS, MODELS, MIGRATION = (
    block.code for block in blocks(REPOSITORY / "docs" / "django-guide.md", "python")[:3]
)
DECLARED = 'LateInteractionIndex(fields=["embeddings"])'
INDEXES = "SELECT source::text, embeddings::text, method, options FROM colbert.indexes ORDER BY 1"


@pytest.fixture
def guide(bare_database: str, tmp_path: Path) -> Project:
    """The project of the guide, migrated."""
    project = Project(tmp_path, bare_database, SETTINGS, MODELS, MIGRATION)
    project.manage("migrate", "library")
    return project


def rows(project: Project, statement: Any = INDEXES) -> list[tuple[Any, ...]]:
    with psycopg.connect(project.conninfo) as plain:
        return plain.execute(statement).fetchall()


def change(project: Project, old: str, new: str) -> str:
    """Edit the models, make a migration of it and apply it; returns its operations."""
    path = project.directory / "library" / "models.py"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    before = set((project.directory / "library" / "migrations").glob("0*.py"))
    project.manage("makemigrations", "library", "--no-input")
    (written,) = set((project.directory / "library" / "migrations").glob("0*.py")) - before
    project.manage("migrate", "library")
    return " ".join(re.findall(r"migrations\.(\w+)\(", written.read_text(encoding="utf-8")))


def test_makemigrations_writes_alters_and_removes_an_index(guide: Project) -> None:
    (created,) = rows(guide)
    assert created[:2] == ("library_document", "embeddings")

    options = '{"effort": 2, "model": "50% of \'it\'"}'
    altered = f'LateInteractionIndex(fields=["embeddings"], method="hnsw", options={options})'
    assert change(guide, DECLARED, altered) == "RemoveIndex AddIndex"
    assert rows(guide) == [
        ("library_document", "embeddings", "hnsw", {"effort": 2, "model": "50% of 'it'"})
    ]

    assert change(guide, altered, "") == "RemoveIndex"
    assert rows(guide) == []

    guide.manage("migrate", "library", "0002", quiet=False)  # warns that none is there
    assert rows(guide)[0][2] == "hnsw"
    guide.manage("migrate", "library", "0001")
    assert rows(guide) == [created]
    guide.manage("migrate", "library", "zero")
    assert rows(guide, "SELECT to_regnamespace('colbert')") == [(None,)]


def test_migrations_of_an_index_are_written_as_sql_that_does_the_same(
    bare_database: str, tmp_path: Path
) -> None:
    project = Project(tmp_path, bare_database, SETTINGS, MODELS, MIGRATION)
    script = project.manage("sqlmigrate", "library", "0001")
    back = project.manage("sqlmigrate", "library", "0001", "--backwards")
    with psycopg.connect(bare_database) as plain:
        plain.execute(script.encode())
        assert plain.execute(INDEXES).fetchall()[0][:2] == ("library_document", "embeddings")
        plain.execute(back.encode())


# What makemigrations would write, without processes

Make = Callable[..., ModelState]


def state(index: LateInteractionIndex | None, *, field: str = "vectors", **options: Any) -> Any:
    """A project of one model that has such an index."""
    made = ProjectState()
    fields = [
        ("id", models.BigAutoField(primary_key=True)),
        (field, ArrayField(VectorField(dimensions=4), null=True)),
    ]
    if index is not None:
        options["indexes"] = [index]
    made.add_model(ModelState("shop", "Item", fields, options))
    return made


def written(before: Any, after: Any) -> list[str]:
    changes = MigrationAutodetector(before, after)._detect_changes()
    return [type(o).__name__ for m in changes.get("shop", ()) for o in m.operations]


def on(field: str = "vectors", name: str = "a", **given: Any) -> LateInteractionIndex:
    return LateInteractionIndex(fields=[field], name=name, **given)


def test_a_changed_method_option_or_key_makes_the_index_anew() -> None:
    for changed in (
        on(method="plaid"),
        on(options={"effort": 2}),
        on(options={"text": "content"}),
        on(key="slug"),
    ):
        assert written(state(on()), state(changed)) == ["RemoveIndex", "AddIndex"]
        assert written(state(changed), state(changed.clone())) == []


def test_another_name_of_an_index_is_no_change() -> None:
    assert written(state(on(name="a")), state(on(name="b"))) == []
    assert written(state(on(name="a")), state(on(name="b", method="hnsw"))) == [
        "RemoveIndex",
        "AddIndex",
    ]


def test_an_index_is_written_as_the_public_class() -> None:
    (migration,) = MigrationAutodetector(state(None), state(on(method="hnsw")))._detect_changes()[
        "shop"
    ]
    text, imports = OperationWriter(migration.operations[0], indentation=0).serialize()
    assert "index=colbert_pg.django.LateInteractionIndex(" in text
    assert "import colbert_pg.django" in imports


@pytest.mark.parametrize("fields", [[], ["a", "b"], ["-a"]])
def test_an_index_is_on_one_field(fields: list[str]) -> None:
    with pytest.raises(ValueError, match=r"on one field of token vectors|At least one field"):
        LateInteractionIndex(fields=fields)


def test_an_index_on_what_is_no_array_of_vectors_is_refused(project: None) -> None:
    with (
        connection.schema_editor(atomic=False, collect_sql=True) as editor,
        pytest.raises(FieldError, match=r"Note\.content is not an array of vectors"),
    ):
        editor.add_index(Note, on("content"))


def test_an_index_is_added_concurrently_and_not_removed_so(project: None) -> None:
    with connection.schema_editor(atomic=False, collect_sql=True) as editor:
        editor.add_index(Note, on("title"), concurrently=True)
        with pytest.raises(NotSupportedError, match="RemoveIndex"):
            editor.remove_index(Note, on("title"), concurrently=True)
    (statement,) = editor.collected_sql
    assert statement.startswith("CALL colbert.create_index_concurrently(source => ")


def test_an_operation_creates_an_index_concurrently_outside_of_a_transaction(
    guide: Project,
) -> None:
    migration = guide.directory / "library" / "migrations" / "0002_again.py"
    migration.write_text(
        "from django.db import migrations\n"
        "from colbert_pg.django.operations import (\n"
        "    CreateLateInteractionIndex, DropLateInteractionIndex)\n"
        "class Migration(migrations.Migration):\n"
        "    dependencies = [('library', '0001_initial')]\n"
        "    operations = [\n"
        "        DropLateInteractionIndex('document'),\n"
        "        CreateLateInteractionIndex('document', method='ivfflat', concurrently=True),\n"
        "    ]\n"
    )
    with pytest.raises(AssertionError, match="set atomic = False on the migration"):
        guide.manage("migrate", "library")
    text = migration.read_text()
    migration.write_text(text.replace("    dependencies", "    atomic = False\n    dependencies"))
    guide.manage("migrate", "library")
    assert [method for _, _, method, _ in rows(guide)] == ["ivfflat"]
    assert rows(guide, "SELECT state FROM colbert.indexes") == [("ready",)]


def test_an_index_follows_what_its_migration_renames(project: None) -> None:
    """In one migration the statement of the index comes last, after the renaming."""

    def run(*operations: Any) -> str:
        from django.db.migrations import Migration

        migration = Migration("0001", "shop")
        migration.operations = list(operations)
        with connection.schema_editor(atomic=False, collect_sql=True) as editor:
            migration.apply(ProjectState(), editor, collect_sql=True)
        return str(editor.collected_sql[-1])

    from django.db.migrations import AlterModelTable, CreateModel, DeleteModel, RenameField

    (model,) = state(on(key="id")).models.values()
    create = CreateModel("Item", list(model.fields.items()), {"indexes": model.options["indexes"]})
    last = run(create, RenameField("Item", "vectors", "tokens"), AlterModelTable("Item", "it's"))
    assert last == (
        "SELECT colbert.create_index(source => '\"it''s\"', embeddings => 'tokens', key => 'id');"
    )
    assert "colbert" not in run(create, DeleteModel("Item"))


def test_a_renamed_field_and_a_renamed_model_keep_an_index(guide: Project) -> None:
    text = (guide.directory / "library" / "models.py").read_text(encoding="utf-8")
    guide.write("library/models.py", text.replace("embeddings", "vectors"))
    guide.write(
        "rename.py",
        "import django\ndjango.setup()\n"
        "from django.core.management import call_command\n"
        "from django.db.migrations.questioner import MigrationQuestioner\n"
        "MigrationQuestioner.ask_rename = lambda *_: True\n"
        "MigrationQuestioner.ask_rename_model = lambda *_: True\n"
        "from django.core.management.commands import makemigrations\n"
        "makemigrations.NonInteractiveMigrationQuestioner.ask_rename = lambda *_: True\n"
        "makemigrations.NonInteractiveMigrationQuestioner.ask_rename_model = lambda *_: True\n"
        "call_command('makemigrations', 'library', interactive=False)\n"
        "call_command('migrate', 'library', verbosity=0)\n",
    )
    guide.python("rename.py")
    assert [row[:2] for row in rows(guide)] == [("library_document", "vectors")]
    text = (guide.directory / "library" / "models.py").read_text(encoding="utf-8")
    guide.write("library/models.py", text.replace("class Document", "class Paper"))
    guide.python("rename.py")
    assert [row[:2] for row in rows(guide)] == [("library_paper", "vectors")]
    assert rows(guide, "SELECT problem FROM colbert.check_index('library_paper')") == []


def test_a_deleted_model_leaves_nothing_of_its_index(guide: Project) -> None:
    derived = "SELECT relname FROM pg_class WHERE relname LIKE 'library_document_embeddings%'"
    assert rows(guide, derived)
    guide.write("library/models.py", "")
    guide.write("library/admin.py", "")
    guide.manage("makemigrations", "library")
    guide.manage("migrate", "library")
    assert rows(guide, derived) == rows(guide) == []


# System checks


def ids(found: list[CheckMessage]) -> list[str]:
    return [message.id for message in found]


@pytest.mark.parametrize("options", [Options(text="content"), Options(pictures="content")])
@isolate_apps("tests.frameworks.library")  # type: ignore[untyped-decorator]
def test_checks_say_what_is_wrong_with_a_declaration(options: Options) -> None:
    class Wrong(models.Model):
        content = models.TextField()
        words = ArrayField(models.TextField())
        needed = ArrayField(VectorField(dimensions=4))

        class Meta:
            app_label = "library"
            indexes = (
                LateInteractionIndex(fields=["words"], name="a"),
                LateInteractionIndex(fields=["needed"], name="b", options=options),
                LateInteractionIndex(fields=["nothing"], name="c"),
            )

    class Config:
        @staticmethod
        def get_models() -> list[Any]:
            return [Wrong]

    found = checks.check_declarations([Config])
    assert ids(found) == ["colbert_pg.E002", "colbert_pg.E003"]
    assert "library.Wrong.words" in found[0].msg
    assert "library.Wrong.needed" in found[1].msg


def test_a_check_warns_of_an_index_that_is_missing(project: None) -> None:
    def check() -> list[CheckMessage]:
        return checks.check_databases(databases=["default"])

    assert check() == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT colbert.drop_index('\"library ''note''\"', 'title')")
        assert check() == []  # the other field has one
        cursor.execute("SELECT colbert.drop_index('library_document')")
        (found,) = check()
        assert found.id == "colbert_pg.W001"
        assert 'database "default"' in found.msg
        assert "library.Document.embeddings" in found.msg
        assert 'LateInteractionIndex(fields=["embeddings"])' in found.hint
        cursor.execute("DELETE FROM django_migrations WHERE app = 'library'")
        assert check() == []  # a migration that is to come may make it
    assert checks.check_databases(databases=None) == []


def test_manage_py_check_warns_of_a_declared_index_that_was_dropped(guide: Project) -> None:
    clean = "System check identified no issues (0 silenced).\n"
    assert guide.manage("check", "library", "--database", "default") == clean
    rows(guide, "SELECT colbert.drop_index('library_document')::text")
    said = guide.python(
        "-c",
        "import django, sys; django.setup(); sys.stderr = sys.stdout\n"
        "from django.core.management import call_command\n"
        "call_command('check', 'library', databases=['default'])",
    )
    assert "colbert_pg.W001" in said
    assert "library.Document.embeddings" in said
