"""What happens to an index when its table changes by other ways than rows: found, and mended."""

import numpy as np
import psycopg
import pytest

from tests.faults.damage import assert_sound, documents_table
from tests.sql.documents import (
    METHODS,
    Documents,
    create_index,
    create_table,
    derived_tables,
    insert,
    primary,
    problems,
    refusal,
    run,
    search,
    texts,
    unit,
    unit_documents,
)

ONE = """'{"[0,0,1]"}'"""


def partitioned(connection: psycopg.Connection, documents: Documents, method: str) -> None:
    """Table documents in partitions low (below 100), high (below 200) and the rest."""
    run(
        connection,
        "CREATE TABLE documents (id int PRIMARY KEY, embeddings vector(3)[]) "
        "PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF documents FOR VALUES FROM (0) TO (100);"
        "CREATE TABLE high PARTITION OF documents FOR VALUES FROM (100) TO (200) "
        "PARTITION BY RANGE (id);"
        "CREATE TABLE high_1 PARTITION OF high FOR VALUES FROM (100) TO (150);"
        "CREATE TABLE rest PARTITION OF documents DEFAULT",
    )
    insert(connection, documents)
    create_index(connection, "documents", f", method => '{method}'")
    connection.commit()


def copy_rows(connection: psycopg.Connection, rows: list[tuple[int, str]]) -> None:
    statement = "COPY documents (id, embeddings) FROM STDIN"
    with connection.transaction(), connection.cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def found_to_differ(connection: psycopg.Connection, method: str) -> set[tuple[str, str]]:
    """The documents that the check names, but for exact, which derives nothing."""
    found = problems(connection)
    assert bool(found) == (method != "exact")
    return {(problem, key) for problem, key in found if key is not None}


@pytest.mark.parametrize("method", METHODS)
def test_writes_to_partitions_and_moves_between_them_keep_the_index_in_step(
    own_connection: psycopg.Connection, rng: np.random.Generator, method: str
) -> None:
    documents = unit_documents(rng, 6)
    partitioned(own_connection, documents, method)
    new = {7: unit(rng, 2, 3), 120: unit(rng, 2, 3), 500: unit(rng, 2, 3)}
    for table, key in (("low", 7), ("high_1", 120), ("rest", 500)):
        insert(own_connection, {key: new[key]}, table)
    run(own_connection, "UPDATE documents SET id = 110 WHERE id = 1")
    run(own_connection, "UPDATE documents SET id = 900 WHERE id = 2")
    run(own_connection, "UPDATE high SET embeddings = embeddings || embeddings WHERE id = 110")
    run(own_connection, "UPDATE low SET embeddings = NULL WHERE id = 3")
    run(own_connection, "DELETE FROM low WHERE id = 4")
    run(own_connection, "DELETE FROM documents WHERE id = 120")
    with own_connection.cursor().copy("COPY rest (id, embeddings) FROM STDIN") as copy:
        copy.write_row((600, "{" + ",".join(f'"{token}"' for token in texts(new[7])) + "}"))
    expected = {
        5: documents[5],
        6: documents[6],
        7: new[7],
        500: new[500],
        600: new[7],
        110: np.concatenate([documents[1], documents[1]]),
        900: documents[2],
    }
    assert_sound(own_connection, unit(rng, 3, 3), expected)


@pytest.mark.parametrize("method", METHODS)
def test_an_attached_partition_is_found_by_the_check_and_by_searches_once_mended(
    own_connection: psycopg.Connection, rng: np.random.Generator, method: str
) -> None:
    documents = unit_documents(rng, 6)
    partitioned(own_connection, documents, method)
    create_table(own_connection, "newer", key="int")
    more = {1001: unit(rng, 2, 3), 1002: unit(rng, 2, 3)}
    insert(own_connection, more, "newer")
    run(
        own_connection,
        "ALTER TABLE documents DETACH PARTITION rest;"
        "ALTER TABLE documents ATTACH PARTITION newer FOR VALUES FROM (1000) TO (2000)",
    )
    if method != "exact":
        missing = {("missing document", "1001"), ("missing document", "1002")}
        assert found_to_differ(own_connection, method) == missing
    run(own_connection, "SELECT colbert.repair_index('documents')")
    assert_sound(own_connection, unit(rng, 3, 3), documents | more)
    run(own_connection, "DELETE FROM newer WHERE id = 1001")
    assert_sound(own_connection, unit(rng, 3, 3), documents | {1002: more[1002]})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "statement",
    ["ALTER TABLE documents DETACH PARTITION low", "DROP TABLE low", "TRUNCATE low"],
)
def test_documents_of_a_partition_that_went_are_not_found_and_leave_the_index_when_mended(
    own_connection: psycopg.Connection, rng: np.random.Generator, method: str, statement: str
) -> None:
    gone = unit_documents(rng, 6)
    kept = {100 + key: document for key, document in unit_documents(rng, 6).items()}
    partitioned(own_connection, gone | kept, method)
    run(own_connection, statement)
    query = unit(rng, 3, 3)
    found = search(own_connection, query, ", k => 1000")
    orphans = {("orphaned document", str(key)) for key in gone}
    assert found_to_differ(own_connection, method) == (orphans if method != "exact" else set())
    run(own_connection, "SELECT colbert.repair_index('documents')")
    assert_sound(own_connection, query, kept)
    assert search(own_connection, query, ", k => 1000") == found
    if "DETACH" in statement:
        run(own_connection, "DELETE FROM low")
        assert_sound(own_connection, query, kept)


@pytest.mark.parametrize("method", METHODS)
def test_tables_and_schemas_may_be_renamed_and_moved(
    own_connection: psycopg.Connection, rng: np.random.Generator, method: str
) -> None:
    documents = unit_documents(rng, 6)
    documents_table(own_connection, documents, method)
    run(own_connection, "CREATE SCHEMA elsewhere; ALTER TABLE documents RENAME TO papers")
    for number, table in enumerate(derived_tables(own_connection, "papers")):
        run(own_connection, f"ALTER TABLE {table} RENAME TO renamed_{number}")
        run(own_connection, f"ALTER TABLE renamed_{number} SET SCHEMA elsewhere")
    run(own_connection, "ALTER TABLE papers SET SCHEMA elsewhere")
    run(own_connection, "ALTER SCHEMA elsewhere RENAME TO there")
    run(own_connection, "DELETE FROM there.papers WHERE id = 1")
    insert(own_connection, {7: documents[1]}, "there.papers")
    expected = {key: documents[key] for key in range(2, 7)} | {7: documents[1]}
    query = unit(rng, 3, 3)
    assert_sound(own_connection, query, expected, "there.papers")
    run(own_connection, "SELECT colbert.reindex('there.papers')")
    assert_sound(own_connection, query, expected, "there.papers")
    run(own_connection, "SELECT colbert.drop_index('there.papers')")
    left = "SELECT relname FROM pg_class WHERE relname LIKE 'renamed%' AND relkind = 'r'"
    assert run(own_connection, left) == []
    assert (
        run(own_connection, "SELECT proname FROM pg_proc WHERE proname LIKE 'colbert_sync%'") == []
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_column_that_an_index_needs_goes_with_a_warning_or_not_at_all(
    own_connection: psycopg.Connection, rng: np.random.Generator, method: str
) -> None:
    """Derived tables hold it fast, as a view would; exact has none, and says what is the matter."""
    documents_table(own_connection, unit_documents(rng, 6), method)
    for change in (
        "ALTER TABLE documents DROP embeddings",
        "ALTER TABLE documents ALTER embeddings TYPE text[] USING NULL",
        "ALTER TABLE documents ALTER id TYPE text",
    ):
        if method != "exact":
            assert refusal(own_connection, change).sqlstate in ("2BP01", "0A000")
        elif "DROP" in change:
            run(own_connection, change)
            [(state, advice)] = run(own_connection, "SELECT state, advice FROM colbert.indexes")
            assert state == "broken"
            assert advice == 'column "embeddings" is gone or of another type'
            error = refusal(own_connection, f"INSERT INTO documents VALUES (8, {ONE})")
            assert error.sqlstate in ("42703", "42601")
            error = refusal(own_connection, f"SELECT colbert.search('documents', {ONE}::vector[])")
            assert error.sqlstate == "42703"
            run(own_connection, "SELECT colbert.drop_index('documents')")
            run(own_connection, "INSERT INTO documents VALUES (8)")
            break


@pytest.mark.parametrize("method", METHODS)
def test_what_a_dropped_schema_leaves_is_cleared_away(
    own_connection: psycopg.Connection, rng: np.random.Generator, method: str
) -> None:
    run(own_connection, "CREATE SCHEMA gone; SET search_path = gone, public")
    documents_table(own_connection, unit_documents(rng, 6), method)
    run(own_connection, "DROP SCHEMA gone CASCADE; SET search_path = public")
    [(state, advice)] = run(own_connection, "SELECT state, advice FROM colbert.indexes")
    assert state == "broken"
    assert "the table was dropped" in advice
    documents = unit_documents(rng, 6)
    documents_table(own_connection, documents, method)
    assert run(own_connection, "SELECT state FROM colbert.indexes") == [("ready",)]
    assert_sound(own_connection, unit(rng, 3, 3), documents)


@pytest.mark.parametrize("method", METHODS)
def test_copy_of_a_bad_row_in_the_middle_changes_nothing_and_names_it(
    own_connection: psycopg.Connection, rng: np.random.Generator, method: str
) -> None:
    documents = unit_documents(rng, 6)
    documents_table(own_connection, documents, method)
    rows = [(key, '{"[0,0,1]"}') for key in range(101, 200)]
    for bad, sqlstate, named in (
        ('{"[0,0,1]","[0,0,7]"}', "22023", 'document "150": token 2 has length 7'),
        ('{NULL,"[0,0,1]"}', "22004", 'document "150": token 1 is NULL'),
        ('{"[0,0,1]","[0,1]"}', "22000", "expected 3 dimensions, not 2"),
        ('{"[0,NaN,1]"}', "22000", "NaN not allowed in vector"),
        ("{", "22P02", "malformed array literal"),
    ):
        rows[49] = (150, bad)
        with pytest.raises(psycopg.Error) as raised:
            copy_rows(own_connection, rows)
        assert raised.value.sqlstate == sqlstate
        assert named in primary(raised.value)
        assert_sound(own_connection, unit(rng, 3, 3), documents)
