"""Writers of one document, side by side: the second waits, and the index ends as the array does."""

import threading
from collections.abc import Iterator

import psycopg
import pytest

from tests.sql.documents import A as DOCUMENT
from tests.sql.documents import create_index, create_table, insert, problems, run, tokens
from tests.waiting import PATIENCE, wait_for


@pytest.fixture
def pair(database: str) -> Iterator[tuple[psycopg.Connection, psycopg.Connection]]:
    """Two connections to a database with table documents: 1 with one token."""
    with psycopg.connect(database) as first, psycopg.connect(database) as second:
        create_table(first)
        insert(first, {1: DOCUMENT})
        create_index(first)
        first.commit()
        yield first, second


def set_to(count: int) -> str:
    vectors = ",".join(['"[0,0,1]"'] * count)
    return f"UPDATE documents SET embeddings = '{{{vectors}}}' WHERE id = 1"


def side_by_side(
    first: psycopg.Connection, second: psycopg.Connection, one: str, other: str, end: str = "COMMIT"
) -> psycopg.Error | None:
    """Run the other statement while the first is uncommitted; returns the other's error."""
    run(first, one)
    errors: list[psycopg.Error] = []

    def write() -> None:
        try:
            run(second, other)
            second.commit()
        except psycopg.Error as error:
            errors.append(error)
            second.rollback()

    writer = threading.Thread(target=write)
    writer.start()
    waiting = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
    with psycopg.connect(first.info.dsn, autocommit=True) as observer:
        pid = second.info.backend_pid
        wait_for(lambda: bool(run(observer, waiting, pid)), "the writer to wait")
    run(first, end)
    writer.join(PATIENCE)
    return errors[0] if errors else None


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
@pytest.mark.parametrize(
    ("one", "other", "committed", "rolled_back"),
    [
        (set_to(2), set_to(3), 3, 3),
        (set_to(2), "DELETE FROM documents", 0, 0),
        ("DELETE FROM documents", set_to(3), 0, 3),
        ("DELETE FROM documents", set_to(3).replace("id = 1", "true"), 0, 3),
        (set_to(2), "UPDATE documents SET embeddings = embeddings || embeddings", 4, 2),
        (
            "DELETE FROM documents",
            'INSERT INTO documents VALUES (1, \'{"[0,0,1]","[0,0,1]"}\') '
            "ON CONFLICT (id) DO UPDATE SET embeddings = NULL",
            2,
            0,
        ),
        (set_to(2), "SELECT colbert.repair_index('documents'); " + set_to(3), 3, 3),
    ],
)
def test_the_index_is_what_the_last_writer_left(
    pair: tuple[psycopg.Connection, psycopg.Connection],
    one: str,
    other: str,
    committed: int,
    rolled_back: int,
    end: str,
) -> None:
    first, second = pair
    assert side_by_side(first, second, one, other, end) is None
    assert len(tokens(first)) == (committed if end == "COMMIT" else rolled_back)
    assert problems(first) == []


def test_in_repeatable_read_the_second_writer_gets_a_serialization_error(
    pair: tuple[psycopg.Connection, psycopg.Connection],
) -> None:
    first, second = pair
    second.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    run(second, "SELECT 1 FROM documents")
    error = side_by_side(first, second, set_to(2), set_to(3))
    assert error is not None
    assert error.sqlstate == "40001"
    assert len(tokens(first)) == 2
    assert problems(first) == []


def test_of_two_create_index_the_second_is_told_that_there_is_one(
    pair: tuple[psycopg.Connection, psycopg.Connection],
) -> None:
    first, second = pair
    run(first, "SELECT colbert.drop_index('documents')")
    first.commit()
    create = "SELECT colbert.create_index('documents', method => 'hnsw')"
    error = side_by_side(first, second, create, create)
    assert error is not None
    assert error.sqlstate == "42710"
    assert problems(first) == []


def test_documents_written_before_create_index_got_its_lock_are_in_it(
    pair: tuple[psycopg.Connection, psycopg.Connection],
) -> None:
    first, second = pair
    run(first, "SELECT colbert.drop_index('documents')")
    first.commit()
    run(second, "SELECT 1")
    assert (
        side_by_side(
            first, second, set_to(5), "SELECT colbert.create_index('documents', method => 'hnsw')"
        )
        is None
    )
    assert len(tokens(first)) == 5
    assert problems(first) == []
