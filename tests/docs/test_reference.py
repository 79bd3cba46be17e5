"""docs/reference.md is what docs/build_reference.py makes of the functions as they are."""

from typing import Any

import psycopg
import pytest

from docs.build_reference import REFERENCE, reference


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
            "CREATE FUNCTION colbert.strange() RETURNS int RETURN 1;"
            "COMMENT ON FUNCTION colbert.strange() IS 'From nowhere.'",
            "no file of sql/functions makes strange",
        ),
    ],
)
def test_what_is_not_documented_or_has_no_file_is_refused(
    connection: psycopg.Connection[Any], statement: Any, complaint: str
) -> None:
    connection.execute(statement)
    with pytest.raises(ValueError, match=complaint):
        reference(connection)
