"""docs/reference.md is what docs/build_reference.py makes of the functions as they are."""

import copy
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from docs.build_reference import REFERENCE, SAID, examples, reference
from tests.docs.running import trimmed
from tests.servers import psql

Said = dict[str, Any]


@pytest.fixture
def said() -> Said:
    """What docs/reference.toml says."""
    return tomllib.loads(SAID.read_text(encoding="utf-8"))


def test_the_reference_is_current(connection: psycopg.Connection[Any]) -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    assert text == reference(connection), "run python docs/build_reference.py"


def test_the_reference_does_not_depend_on_the_schema_of_pgvector(
    bare_database: str, connection: psycopg.Connection[Any]
) -> None:
    from colbert_pg.install import install

    with psycopg.connect(bare_database) as elsewhere:
        elsewhere.execute("CREATE SCHEMA vectors")
        elsewhere.execute("CREATE EXTENSION vector SCHEMA vectors")
        install(elsewhere)
        assert reference(elsewhere) == reference(connection)


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("COMMENT ON FUNCTION colbert.version() IS NULL", "version has no comment"),
        ("COMMENT ON VIEW colbert.indexes IS NULL", "indexes has no comment"),
        (
            "COMMENT ON COLUMN colbert.indexes.state IS NULL",
            "the column state of colbert.indexes has no comment",
        ),
        (
            "CREATE FUNCTION colbert.strange() RETURNS int RETURN 1;"
            "COMMENT ON FUNCTION colbert.strange() IS 'From nowhere.'",
            "reference.toml does not have strange",
        ),
        (
            "CREATE FUNCTION colbert.version(strange int) RETURNS int RETURN 1;"
            "COMMENT ON FUNCTION colbert.version(int) IS 'Another form.'",
            "does not describe the parameter strange of version",
        ),
        (
            "CREATE FUNCTION colbert.version(source regclass) RETURNS TABLE (strange int) RETURN 1;"
            "COMMENT ON FUNCTION colbert.version(regclass) IS 'Another form.'",
            "does not describe the column strange of version",
        ),
    ],
)
def test_what_is_not_documented_is_refused(
    connection: psycopg.Connection[Any], statement: Any, complaint: str
) -> None:
    connection.execute(statement)
    with pytest.raises(ValueError, match=complaint):
        reference(connection)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda said: said["sections"]["About"].update(strange={"example": "SELECT 1;"}),
            "has strange, which colbert_pg has not",
        ),
        (
            lambda said: said["sections"]["About"]["version"].pop("example"),
            "has no example of version",
        ),
        (
            lambda said: said["arguments"].update(strange="Nothing."),
            "describes what is not there: arguments.strange",
        ),
        (
            lambda said: said["sections"]["Find documents"]["search"].update(
                results={"strange": "No."}
            ),
            "describes what is not there: sections.Find documents.search.results.strange",
        ),
    ],
)
def test_descriptions_of_what_is_not_there_are_refused(
    connection: psycopg.Connection[Any],
    said: Said,
    change: Callable[[Said], object],
    complaint: str,
) -> None:
    changed = copy.deepcopy(said)
    change(changed)
    with pytest.raises(ValueError, match=complaint):
        reference(connection, changed)


def test_forms_of_a_function_share_one_table(connection: psycopg.Connection[Any]) -> None:
    text = reference(connection)
    (entry,) = (part for part in text.split("\n### ") if part.startswith("search\n"))
    assert entry.count("| `query` |") == 1
    assert entry.index("| `query` |") < entry.index("| `key` |") < entry.index("| `k` |")


def test_every_example_runs_by_itself_and_prints_what_the_page_says(
    said: Said, database: str, new_database: Callable[..., str], tmp_path: Path
) -> None:
    setup = tmp_path / "setup.sql"
    setup.write_text(f"\\o /dev/null\n{said['setup']}\\o\n", encoding="utf-8")
    shown = examples(said)
    # a procedure that commits gets a database of its own
    alone = {name: code for name, (code, _) in shown.items() if "CALL " in code}
    printed = run(
        database,
        tmp_path / "examples.sql",
        {
            name: f"BEGIN;\n\\i {setup}\n{code}ROLLBACK;\n"
            for name, (code, _) in shown.items()
            if name not in alone
        },
    )
    for name, code in alone.items():
        copy_of = new_database(conninfo_to_dict(database)["dbname"])
        printed |= run(copy_of, tmp_path / f"{name}.sql", {name: f"\\i {setup}\n{code}"})
    says = {name: trimmed(prints) for name, (_, prints) in shown.items() if prints is not None}
    assert len(says) > 10
    assert says == {name: printed[name] for name in says}


def run(conninfo: str, script: Path, examples: dict[str, str]) -> dict[str, str]:
    """What psql prints for each example."""
    marker = "-- next example --"
    script.write_text(
        "\\pset footer off\n" + "".join(f"{code}\\echo '{marker}'\n" for code in examples.values()),
        encoding="utf-8",
    )
    done = psql(conninfo, "-v", "ON_ERROR_STOP=1", "-f", str(script))
    printed = done.stdout.split(f"{marker}\n")
    assert done.returncode == 0, f"{list(examples)[len(printed) - 1]}:\n{done.stderr}"
    return dict(zip(examples, map(trimmed, printed), strict=False))
