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


def test_a_revision_creates_an_index_concurrently(application: Application) -> None:
    """On a database, and as a script."""
    path = application.directory / "versions" / "1.py"
    text = path.read_text(encoding="utf-8")
    assert "op.create_late_interaction_index(" in text
    path.write_text(
        text.replace(
            "op.create_late_interaction_index(",
            "op.create_late_interaction_index(concurrently=True, source=",
        ),
        encoding="utf-8",
    )
    expected = [("documents", "embeddings", "hnsw", {"candidates": 200})]
    command.upgrade(application.config, "head", sql=True)
    script = application.directory / "script.sql"
    script.write_text(application.output.getvalue(), encoding="utf-8")
    done = psql(application.conninfo, "-v", "ON_ERROR_STOP=1", "-f", str(script))
    assert (done.returncode, done.stderr) == (0, "")
    assert application.rows(INDEXES) == expected
    command.downgrade(application.config, "base")
    command.upgrade(application.config, "head")
    assert application.rows(INDEXES) == expected
    assert application.rows("SELECT state FROM colbert.indexes") == [("ready",)]


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


def test_autogenerate_creates_an_index_of_pictures(application: Application) -> None:
    command.upgrade(application.config, "head")
    application.edit_models('method="plaid", key="slug"', 'options={"pictures": "slug"}')
    written = application.autogenerate("2")
    assert "options={'pictures': 'slug'}" in written
    command.upgrade(application.config, "head")
    assert application.rows("SELECT text FROM colbert.pending") == [("slug",)]
    assert "op." not in application.autogenerate("3")


def test_autogenerate_creates_an_index_whose_text_is_an_expression(
    application: Application,
) -> None:
    command.upgrade(application.config, "head")
    text = "title || E'\\n' || slug"
    application.edit_models(
        'method="plaid", key="slug"', f'key="slug", options={{"text": {text!r}}}'
    )
    application.edit_models(
        "    slug: Mapped[str] = mapped_column(unique=True)\n",
        "    slug: Mapped[str] = mapped_column(unique=True)\n    title: Mapped[str]\n",
    )
    written = application.autogenerate("2")
    assert f"options={{'text': {text!r}}}" in written
    command.upgrade(application.config, "head")
    assert application.rows("SELECT text FROM colbert.pending") == [(text,)]
    assert "op." not in application.autogenerate("3")
    command.upgrade(application.config, "head")
    command.downgrade(application.config, "1")
    assert application.rows("SELECT text FROM colbert.pending") == []


WHOLE = """\
    op.execute(
        "CREATE FUNCTION whole() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.whole := concat_ws(' ', NEW.title, NEW.slug); RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER whole BEFORE INSERT OR UPDATE ON notes "
        "FOR EACH ROW EXECUTE FUNCTION whole()"
    )
    op.create_late_interaction_index("""


def test_autogenerate_takes_a_text_that_a_trigger_of_the_revision_writes(
    application: Application,
) -> None:
    command.upgrade(application.config, "head")
    application.edit_models('method="plaid", key="slug"', 'options={"text": "whole"}')
    application.edit_models(
        "    slug: Mapped[str] = mapped_column(unique=True)\n",
        "    slug: Mapped[str] = mapped_column(unique=True)\n    title: Mapped[str]\n"
        "    whole: Mapped[str | None] = mapped_column(\n"
        "        FetchedValue(), server_onupdate=FetchedValue()\n    )\n",
    )
    application.edit_models(
        "import BigInteger, Identity", "import BigInteger, FetchedValue, Identity"
    )
    application.autogenerate("2")
    (path,) = (application.directory / "versions").glob("2_*.py")
    written = path.read_text(encoding="utf-8")
    assert "sa.Column('whole', sa.String()" in written
    assert written.count("    op.create_late_interaction_index(") == 1
    path.write_text(
        written.replace("    op.create_late_interaction_index(", WHOLE), encoding="utf-8"
    )
    command.upgrade(application.config, "head")
    assert "op." not in application.autogenerate("3")
    with psycopg.connect(application.conninfo) as connection:
        connection.execute("INSERT INTO notes (slug, title) VALUES ('b', 'a')")
        claimed = connection.execute("SELECT content FROM colbert.claim_pending('notes')")
        assert claimed.fetchall() == [("a b",)]


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


@pytest.fixture
def empty(application: Application) -> Application:
    """The same without a revision, on a database that has nothing."""
    (application.directory / "versions" / "1.py").unlink()
    return application


def test_autogenerate_installs_what_is_missing(empty: Application) -> None:
    written = empty.autogenerate("1")
    assert [line.strip() for line in written.splitlines() if "install" in line] == [
        "op.install_pgvector()",
        "op.install_colbert()",
        "op.uninstall_colbert()",
    ]
    upgrade = written[written.index("def upgrade") : written.index("def downgrade")]
    assert upgrade.index("install_colbert") < upgrade.index("op.create_table")
    command.upgrade(empty.config, "head")
    assert [row[0] for row in empty.rows(INDEXES)] == ["documents", "notes"]
    command.check(empty.config)
    command.downgrade(empty.config, "base")
    assert empty.rows("SELECT to_regnamespace('colbert')") == [(None,)]
    command.upgrade(empty.config, "head")

    script = io.StringIO()
    empty.config.output_buffer = script
    command.upgrade(empty.config, "head", sql=True)
    assert "CREATE EXTENSION IF NOT EXISTS vector;" in script.getvalue()


def test_autogenerate_installs_colbert_pg_beside_pgvector(empty: Application) -> None:
    with psycopg.connect(empty.conninfo) as connection:
        connection.execute("CREATE EXTENSION vector")
    written = empty.autogenerate("1")
    assert "op.install_colbert()" in written
    assert "pgvector()" not in written


def test_nothing_is_installed_for_models_without_an_index(empty: Application) -> None:
    with psycopg.connect(empty.conninfo) as connection:
        connection.execute("CREATE EXTENSION vector")
    empty.edit_models("info=late_interaction_index()", "info={}")
    empty.edit_models('info=late_interaction_index(method="plaid", key="slug")', "info={}")
    assert "install" not in empty.autogenerate("1")


@pytest.fixture
def generated(empty: Application) -> Application:
    """Its tables and indexes are there, as a revision has made them."""
    empty.autogenerate("1")
    command.upgrade(empty.config, "head")
    return empty


OTHERWISE = {
    "method": ('method="hnsw"', "hnsw", {}),
    "option": (
        'options={"effort": 2, "text": "content"}',
        "plaid",
        {"effort": 2, "text": "content"},
    ),
    "both": ('method="exact", options={"patience": 7}', "exact", {"patience": 7}),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_autogenerate_makes_an_index_anew_that_is_declared_otherwise(
    generated: Application, name: str
) -> None:
    declaration, method, options = OTHERWISE[name]
    before = generated.rows(INDEXES)
    generated.edit_models("late_interaction_index()", f"late_interaction_index({declaration})")
    written = generated.autogenerate("2")
    assert written.count("op.") == 4, written
    command.upgrade(generated.config, "head")
    assert generated.rows(INDEXES)[0] == ("documents", "embeddings", method, options)
    assert "op." not in generated.autogenerate("3")
    command.downgrade(generated.config, "1")
    assert generated.rows(INDEXES) == before


def test_autogenerate_creates_a_first_stage_before_what_needs_it(empty: Application) -> None:
    staged = 'options={"first_stage": "short"}'
    before, after = (
        "info=late_interaction_index()\n    )\n",
        "info=late_interaction_index({})\n    )\n",
    )
    short = "short: Mapped[list | None] = mapped_column(\n        ARRAY(VECTOR(32), dimensions=1), "
    empty.edit_models(before, f"{after.format(staged)}    {short}{before}")
    empty.autogenerate("1")
    command.upgrade(empty.config, "head")
    of_documents = INDEXES.replace("ORDER BY 1", "WHERE source = 'documents'::regclass ORDER BY 2")
    expected = [
        ("documents", "embeddings", "staged", {"first_stage": "short"}),
        ("documents", "short", "plaid", {}),
    ]
    assert empty.rows(of_documents) == expected
    assert "op." not in empty.autogenerate("2")
    command.upgrade(empty.config, "head")
    plain = 'method="exact", options={}'
    empty.edit_models(f"{after.format(staged)}    {short}{before}", after.format(plain))
    empty.autogenerate("3")
    command.upgrade(empty.config, "head")
    assert empty.rows(of_documents) == [("documents", "embeddings", "exact", {})]
    command.downgrade(empty.config, "2")
    assert empty.rows(of_documents) == expected


def test_an_option_that_is_declared_no_more_goes(generated: Application) -> None:
    generated.edit_models(
        "late_interaction_index()", 'late_interaction_index(options={"text": "content"})'
    )
    generated.autogenerate("2")
    command.upgrade(generated.config, "head")
    generated.edit_models('options={"text": "content"}', "options={}")
    generated.autogenerate("3")
    command.upgrade(generated.config, "head")
    assert generated.rows(INDEXES)[0][3] == {}


def test_what_tune_and_clients_set_is_no_difference(generated: Application) -> None:
    generated.edit_models(
        "late_interaction_index()", 'late_interaction_index(options={"text": "content"})'
    )
    generated.autogenerate("2")
    command.upgrade(generated.config, "head")
    with psycopg.connect(generated.conninfo) as connection:
        connection.execute(
            "UPDATE colbert._index SET options = options"
            """ || '{"model": {"name": "m"}, "nprobe": 8, "candidates": 50}'"""
        )
    assert "op." not in generated.autogenerate("3")
    command.upgrade(generated.config, "head")

    generated.edit_models('{"text": "content"}', '{"text": "content", "candidates": 60}')
    written = generated.autogenerate("4")
    assert "'candidates': 60" in written
    command.upgrade(generated.config, "head")
    assert generated.rows(INDEXES)[0][3] == {
        "text": "content",
        "candidates": 60,
        "model": {"name": "m"},
    }


def test_autogenerate_renames_a_column_that_says_what_it_was_called(
    generated: Application,
) -> None:
    with psycopg.connect(generated.conninfo) as connection:
        unit = "[" + ",".join(["1"] + ["0"] * 127) + "]"
        connection.execute(
            "INSERT INTO documents (content, embeddings) VALUES ('a', ARRAY[%s::vector])", [unit]
        )
    generated.edit_models(
        """embeddings: Mapped[list | None] = mapped_column(
        ARRAY(VECTOR(128), dimensions=1), info=late_interaction_index()""",
        """vectors: Mapped[list | None] = mapped_column(
        ARRAY(VECTOR(128), dimensions=1),
        info=late_interaction_index(renamed_from="embeddings")""",
    )
    written = generated.autogenerate("2")
    assert "new_column_name='vectors'" in written
    assert "drop_column" not in written
    for direction, revision, name in (
        (command.upgrade, "head", "vectors"),
        (command.downgrade, "1", "embeddings"),
        (command.upgrade, "head", "vectors"),
    ):
        direction(generated.config, revision)
        assert generated.rows(INDEXES)[0][:2] == ("documents", name)
        assert generated.rows(f"SELECT cardinality({name}) FROM documents") == [(1,)]
    assert "op." not in generated.autogenerate("3")


def test_autogenerate_drops_an_index_before_its_column(generated: Application) -> None:
    start = MODELS.index("    embeddings: Mapped")
    generated.edit_models(MODELS[start : MODELS.index("class Note")], "\n\n")
    written = generated.autogenerate("2")
    assert written.index("op.drop_late_interaction_index('documents'") < written.index(
        "op.drop_column('documents', 'embeddings')"
    )
    command.upgrade(generated.config, "head")
    command.downgrade(generated.config, "1")
    assert [row[0] for row in generated.rows(INDEXES)] == ["documents", "notes"]


def test_autogenerate_makes_an_index_anew_around_another_type(generated: Application) -> None:
    generated.edit_models("ARRAY(VECTOR(128), dimensions=1)", "ARRAY(HALFVEC(128), dimensions=1)")
    written = generated.autogenerate("2")
    assert "op.alter_column('documents', 'embeddings'" in written
    command.upgrade(generated.config, "head")
    assert len(generated.rows(INDEXES)) == 2
    typed = "SELECT format_type(atttypid, -1) FROM pg_attribute WHERE attname = 'embeddings'"
    assert set(generated.rows(typed + " AND attrelid = 'documents'::regclass")) == {("halfvec[]",)}
    command.downgrade(generated.config, "1")
    assert len(generated.rows(INDEXES)) == 2
