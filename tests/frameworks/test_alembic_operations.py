"""An application's own revisions: the page docs/alembic.md, run as it stands, and autogenerate."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from tests.docs.blocks import blocks
from tests.servers import REPOSITORY, psql, sqlalchemy_url

ENVIRONMENT, REVISION, MODELS = (
    block.code for block in blocks(REPOSITORY / "docs" / "alembic.md", "python")
)
TEMPLATE = Config().get_template_directory() + "/generic/script.py.mako"


class Application:
    """An application that has models, an environment and a first revision, as the page shows."""

    def __init__(self, directory: Path, conninfo: str) -> None:
        self.directory = directory
        self.conninfo = conninfo
        self.output = io.StringIO()
        for name, content in (
            ("env.py", ENVIRONMENT),
            ("models.py", MODELS),
            ("script.py.mako", Path(TEMPLATE).read_text(encoding="utf-8")),
            ("versions/1.py", REVISION),
        ):
            path = directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")
        self.config = Config(output_buffer=self.output)
        self.config.set_main_option("script_location", str(directory))
        url = sqlalchemy_url(conninfo).replace("%", "%%")
        self.config.set_main_option("sqlalchemy.url", url)

    def autogenerate(self, revision: str) -> str:
        command.revision(self.config, revision, autogenerate=True, rev_id=revision)
        (path,) = (self.directory / "versions").glob(f"{revision}_*.py")
        return path.read_text(encoding="utf-8")

    def edit_models(self, old: str, new: str) -> None:
        sys.modules.pop("models", None)
        path = self.directory / "models.py"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def rows(self, statement: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.conninfo) as connection:
            return connection.execute(statement).fetchall()


@pytest.fixture
def application(
    tmp_path: Path, bare_database: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Application]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # models.py changes within a second
    sys.modules.pop("models", None)
    yield Application(tmp_path, bare_database)
    sys.modules.pop("models", None)


INDEXES = "SELECT source::text, embeddings::text, method, options FROM colbert.indexes ORDER BY 1"


def test_revisions_install_create_drop_and_uninstall(application: Application) -> None:
    command.upgrade(application.config, "head")
    assert application.rows(INDEXES) == [("documents", "embeddings", "hnsw", {"candidates": 200})]

    command.downgrade(application.config, "base")
    assert application.rows(
        "SELECT to_regclass('documents'), to_regnamespace('colbert'),"
        " to_regclass('documents_embeddings_tokens')"
    ) == [(None, None, None)]


def test_revisions_are_written_as_a_script_that_does_the_same(application: Application) -> None:
    for direction, revisions, expected in (
        (command.upgrade, "head", 1),
        (command.downgrade, "1:base", None),
    ):
        application.output.truncate(0)
        application.output.seek(0)
        direction(application.config, revisions, sql=True)
        script = application.directory / "script.sql"
        script.write_text(application.output.getvalue(), encoding="utf-8")
        done = psql(application.conninfo, "-v", "ON_ERROR_STOP=1", "-f", str(script))
        assert (done.returncode, done.stderr) == (0, "")
        if expected:
            assert len(application.rows(INDEXES)) == expected
    assert application.rows("SELECT to_regnamespace('colbert')") == [(None,)]


def test_autogenerate_creates_what_is_declared_and_leaves_alone_what_is_ours(
    application: Application,
) -> None:
    command.upgrade(application.config, "head")
    with psycopg.connect(application.conninfo) as connection:
        connection.execute("CREATE TABLE colbert_pg_alembic_version (version_num text PRIMARY KEY)")

    written = application.autogenerate("2")
    assert written.count("op.") == 4, written
    assert "op.create_table('notes'" in written
    assert (
        "op.create_late_interaction_index('notes', 'embeddings', method='plaid', key='slug')"
        in written
    )
    assert written.index("op.drop_late_interaction_index('notes'") < written.index(
        "op.drop_table('notes')"
    )

    command.upgrade(application.config, "head")
    assert [row[0] for row in application.rows(INDEXES)] == ["documents", "notes"]
    command.downgrade(application.config, "-1")
    command.upgrade(application.config, "head")
    assert "op." not in application.autogenerate("3")


def test_autogenerate_leaves_alone_what_a_text_column_brings(application: Application) -> None:
    command.upgrade(application.config, "head")
    with psycopg.connect(application.conninfo) as connection:
        connection.execute("SELECT colbert.drop_index('documents')")
        connection.execute(
            "SELECT colbert.create_index('documents', method => 'hnsw',"
            """ options => '{"candidates": 200, "text": "content"}')"""
        )
    written = application.autogenerate("2")
    assert "_pending" not in written
    assert "_attempts" not in written


def test_autogenerate_drops_the_index_before_its_table(application: Application) -> None:
    command.upgrade(application.config, "head")
    application.edit_models(MODELS[MODELS.index("class Document") : MODELS.index("class Note")], "")
    application.edit_models("info=late_interaction_index(method", "info=dict(method")

    written = application.autogenerate("2")
    command.upgrade(application.config, "head")
    assert application.rows(INDEXES) == []
    assert "late_interaction_index('notes'" not in written

    command.downgrade(application.config, "-1")
    assert application.rows(INDEXES) == [("documents", "embeddings", "hnsw", {"candidates": 200})]


def test_the_schema_colbert_is_left_alone_where_schemas_are_compared(
    application: Application,
) -> None:
    environment = application.directory / "env.py"
    text = environment.read_text(encoding="utf-8")
    environment.write_text(
        text.replace("include_object=", "include_schemas=True,\n            include_object="),
        encoding="utf-8",
    )
    application.edit_models(MODELS[MODELS.index("class Note") :], "")
    command.upgrade(application.config, "head")
    assert "op." not in application.autogenerate("2")


def test_names_are_quoted_and_options_are_text(application: Application) -> None:
    revision = application.directory / "versions" / "1.py"
    text = revision.read_text(encoding="utf-8").replace('"documents"', "\"My 'documents'\"")
    revision.write_text(
        text.replace('{"candidates": 200}', '{"model": "a:b \\\\ \'%s\'"}'), encoding="utf-8"
    )
    command.upgrade(application.config, "head")
    assert application.rows(INDEXES) == [
        ("\"My 'documents'\"", "embeddings", "hnsw", {"model": "a:b \\ '%s'"})
    ]
    command.downgrade(application.config, "base")


def test_what_a_revision_does_after_an_operation_is_as_it_is_without(
    application: Application,
) -> None:
    revision = application.directory / "versions" / "1.py"
    text = revision.read_text(encoding="utf-8").replace(
        "    op.install_colbert()\n",
        "    op.install_colbert()\n"
        '    share = sa.Column("share", sa.Text, server_default="50%")\n'
        '    op.create_table("shares", sa.Column("id", sa.Integer), share)\n',
    )
    assert "shares" in text
    revision.write_text(text, encoding="utf-8")
    command.upgrade(application.config, "head")
    with psycopg.connect(application.conninfo) as connection:
        connection.execute("INSERT INTO shares VALUES (1)")
    assert application.rows("SELECT share FROM shares") == [("50%",)]
