"""A disk that fills up: an error, nothing half-built, nothing left behind; searches go on."""

import numpy as np
import psycopg
import pytest

from tests.faults.damage import CATALOG
from tests.sql.documents import (
    Matrix,
    create_table,
    insert,
    problems,
    run,
    search,
    unit,
    unit_documents,
)

DIMENSIONS = 512

# What fills up: the derived table, pgvector's index on a small one, the sample that is trained on.
INDEXES = {
    "hnsw": "{}",
    "hnsw of bits": '{"token_type": "bit", "m": 40, "ef_construction": 80}',
    "ivfflat": "{}",
    "plaid": "{}",
}


def limit_files(connection: psycopg.Connection) -> None:
    """As a full disk would: this session writes no file beyond a megabyte, a segment of WAL."""
    command = f"prlimit --pid {connection.info.backend_pid} --fsize={1024 * 1024}:"
    run(connection, f"COPY (SELECT) TO PROGRAM '{command}'")


def bytes_on_disk(connection: psycopg.Connection) -> int:
    [(size,)] = run(connection, "SELECT pg_database_size(current_database())")
    return int(size)


@pytest.mark.parametrize("index", INDEXES)
def test_a_disk_that_fills_up_leaves_what_was_there(
    own_database: str, rng: np.random.Generator, index: str
) -> None:
    method, options = index.partition(" ")[0], INDEXES[index]
    arguments = f"method => '{method}', options => '{options}'"
    create = f"SELECT colbert.create_index('documents', {arguments})"
    few = unit_documents(rng, 4, 20, DIMENSIONS)
    query: Matrix = unit(rng, 3, DIMENSIONS)
    with psycopg.connect(own_database) as connection:
        create_table(connection, embeddings=f"vector({DIMENSIONS})[]")
        run(connection, "CREATE TABLE many (LIKE documents)")
        insert(connection, unit_documents(rng, 100, 20, DIMENSIONS), "many")
        run(connection, "INSERT INTO documents SELECT id + 100, embeddings FROM many")
        connection.commit()
        catalog, size = run(connection, CATALOG), bytes_on_disk(connection)
        connection.commit()

        # create_index: there is none afterwards, and no file of it
        with psycopg.connect(own_database) as limited:
            limit_files(limited)
            with pytest.raises(psycopg.Error, match=r"could not (extend|write)") as raised:
                run(limited, create)
        assert raised.value.sqlstate in ("53100", "58030", "XX000")
        assert run(connection, CATALOG) == catalog
        assert bytes_on_disk(connection) < size + 200_000

        # reindex and a load: the index that was there goes on, and what came with them did not
        run(connection, "DELETE FROM documents")
        insert(connection, few)
        run(connection, create)
        connection.commit()
        catalog, found = run(connection, CATALOG), search(connection, query)
        connection.commit()
        if index != "plaid":  # whose index on disk is too small to fill anything here
            with psycopg.connect(own_database) as limited:
                limit_files(limited)
                with pytest.raises(psycopg.Error, match=r"could not (extend|write)"):
                    run(limited, "INSERT INTO documents SELECT id + 100, embeddings FROM many")
        assert run(connection, CATALOG) == catalog
        assert search(connection, query) == found
        assert problems(connection) == []
        run(connection, "INSERT INTO documents SELECT id + 100, embeddings FROM many LIMIT 5")
        assert problems(connection) == []


@pytest.mark.parametrize("index", INDEXES)
def test_a_build_beside_writers_goes_on_when_there_is_room_again(
    own_database: str, rng: np.random.Generator, index: str
) -> None:
    method, options = index.partition(" ")[0], INDEXES[index]
    create = (
        "CALL colbert.create_index_concurrently('documents', "
        f"method => '{method}', options => '{options}')"
    )
    with psycopg.connect(own_database, autocommit=True) as connection:
        create_table(connection, embeddings=f"vector({DIMENSIONS})[]")
        insert(connection, unit_documents(rng, 100, 20, DIMENSIONS))
        with psycopg.connect(own_database, autocommit=True) as limited:
            limit_files(limited)
            with pytest.raises(psycopg.Error, match=r"could not (extend|write)"):
                run(limited, create)
        assert run(connection, "SELECT state FROM colbert.indexes") == [("building",)]
        insert(connection, {200: unit(rng, 20, DIMENSIONS)})
        run(connection, create)
        assert run(connection, "SELECT state FROM colbert.indexes") == [("ready",)]
        assert problems(connection) == []
