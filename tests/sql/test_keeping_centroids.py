"""Indexes that are built anew from the centroids that they have, and ordinals, which end."""

import numpy as np
import psycopg
import pytest

from tests.sql.documents import (
    METHODS,
    Matrix,
    clustered_documents,
    create_index,
    create_table,
    fewer,
    hint,
    insert,
    keys,
    primary,
    problems,
    ranking,
    refusal,
    run,
    search,
    texts,
    unit,
    unit_documents,
)

REINDEX = "SELECT colbert.reindex('documents', retrain => false)"
CONCURRENTLY = "CALL colbert.reindex_concurrently('documents', retrain => false)"
BOTH = pytest.mark.parametrize("statement", [REINDEX, CONCURRENTLY], ids=["plain", "concurrent"])
SIZE = """
    SELECT sum(pg_total_relation_size(t.id))::bigint FROM colbert._index AS i,
           unnest(i.tables, i.table_names) AS t (id, name) WHERE t.name IN ('documents', 'postings')
"""


@pytest.fixture
def committing(own_connection: psycopg.Connection) -> psycopg.Connection:
    own_connection.commit()
    own_connection.autocommit = True
    return own_connection


def derived(connection: psycopg.Connection, name: str) -> str:
    statement = "SELECT tables[array_position(table_names, %s)]::text FROM colbert._index"
    return str(run(connection, statement, name)[0][0])


def rewritten(connection: psycopg.Connection, rng: np.random.Generator) -> dict[int, Matrix]:
    """Trained on forty documents, of which all were then written four times, and five went."""
    create_table(connection, embeddings="vector(16)[]")
    documents, _ = clustered_documents(rng, 40, 16)
    insert(connection, documents)
    create_index(connection, "documents", ", method => 'plaid'")
    for _ in range(4):
        run(connection, "UPDATE documents SET embeddings = embeddings || embeddings[1]")
    run(connection, "DELETE FROM documents WHERE id <= 5")
    return {key: document for key, document in documents.items() if key > 5}


def centroids(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    table = derived(connection, "centroids")
    return run(connection, f"SELECT id, centroid::text, trained FROM {table} ORDER BY id")


def ordinals(connection: psycopg.Connection) -> list[int]:
    return keys(
        run(connection, f"SELECT ordinal FROM {derived(connection, 'documents')} ORDER BY 1")
    )


@BOTH
def test_centroids_stay_and_ordinals_begin_at_one(
    committing: psycopg.Connection, rng: np.random.Generator, statement: str
) -> None:
    documents = rewritten(committing, rng)
    before, query = centroids(committing), unit(rng, 4, 16)
    assert before
    assert min(ordinals(committing)) > 40
    run(committing, statement)
    assert centroids(committing) == before
    assert ordinals(committing) == list(range(1, 36))
    assert problems(committing) == []
    expected = keys(ranking(query, documents, 10))
    assert keys(search(committing, query, ", k => 10, candidates => 35")) == expected
    insert(committing, {100: unit(rng, 5, 16)})
    assert ordinals(committing) == list(range(1, 37))
    grown = centroids(committing)
    assert grown[: len(before)] == before
    assert problems(committing) == []


def test_tables_that_were_built_anew_have_no_dead_rows(
    committing: psycopg.Connection, rng: np.random.Generator
) -> None:
    rewritten(committing, rng)
    [[before]] = run(committing, SIZE)
    run(committing, CONCURRENTLY)
    [[after]] = run(committing, SIZE)
    assert after < 0.7 * before


def test_pgvectors_index_is_built_for_the_centroids_that_are_kept(
    committing: psycopg.Connection, rng: np.random.Generator
) -> None:
    rewritten(committing, rng)
    run(
        committing,
        "INSERT INTO documents_embeddings_centroids (centroid, trained)"
        " SELECT c.centroid, true FROM documents_embeddings_centroids AS c, generate_series(1, 20)",
    )
    run(committing, CONCURRENTLY)
    indexes = "SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '%ivfflat%'"
    assert len(run(committing, indexes)) == 1
    assert run(committing, "SELECT state FROM colbert.indexes") == [("ready",)]
    assert problems(committing) == []


@pytest.mark.parametrize("method", METHODS)
def test_methods_without_centroids_do_what_they_do_anyway(
    connection: psycopg.Connection, rng: np.random.Generator, method: str
) -> None:
    create_table(connection)
    documents, query = unit_documents(rng, 30), unit(rng, 3, 3)
    insert(connection, documents)
    create_index(connection, "documents", f", method => '{method}'")
    run(connection, REINDEX)
    assert problems(connection) == []
    assert keys(search(connection, query, ", k => 5")) == keys(ranking(query, documents, 5))


@BOTH
def test_parts_of_tenants_are_kept(
    committing: psycopg.Connection, rng: np.random.Generator, statement: str
) -> None:
    documents, _ = clustered_documents(rng, 40, 16)
    fewer(committing)
    run(
        committing,
        "CREATE TABLE documents (id bigint PRIMARY KEY, tenant bigint NOT NULL,"
        " embeddings vector(16)[])",
    )
    for key, document in documents.items():
        for tenant in (1, 2):
            run(
                committing,
                "INSERT INTO documents VALUES (%s, %s, %s::text[]::vector[])",
                1000 * tenant + key,
                tenant,
                texts(document),
            )
    create_index(
        committing, "documents", ", method => 'plaid', options => '{\"tenant\": \"tenant\"}'"
    )
    run(committing, "UPDATE documents SET embeddings = embeddings || embeddings[1]")
    before = centroids(committing)
    run(committing, statement)
    assert centroids(committing) == before
    assert sorted(ordinals(committing)) == list(range(1, 81))
    assert problems(committing) == []


class TestOrdinalsEnd:
    """What happens after two billion writes: the sequence is moved on."""

    @pytest.fixture
    def written(
        self, committing: psycopg.Connection, rng: np.random.Generator
    ) -> psycopg.Connection:
        rewritten(committing, rng)
        return committing

    def move_on(self, connection: psycopg.Connection, by: str) -> None:
        table = derived(connection, "documents")
        run(
            connection,
            f"SELECT setval(pg_get_serial_sequence('{table}', 'ordinal'), ({by})::bigint)",
        )
        run(
            connection, "UPDATE documents SET embeddings = embeddings || embeddings[1] WHERE id = 9"
        )

    @BOTH
    def test_the_error_names_the_remedy_which_helps(
        self, written: psycopg.Connection, statement: str
    ) -> None:
        update = "UPDATE documents SET embeddings = embeddings[1:2]"
        self.move_on(written, "colbert._plaid_last_ordinal() - 1")
        for _ in range(2):
            error = refusal(written, update)
            assert error.sqlstate == "54000"
            assert primary(error) == (
                'the index on "public.documents" has taken as many writes as it can count'
            )
            assert hint(error) == (
                "CALL colbert.reindex_concurrently('public.documents', 'embeddings',"
                " retrain => false) counts from 1 again."
            )
        run(written, statement)
        run(written, update)
        assert max(ordinals(written)) == 70
        assert problems(written) == []

    def test_a_reindex_that_trains_counts_from_1_again(self, written: psycopg.Connection) -> None:
        self.move_on(written, "colbert._plaid_last_ordinal() - 1")
        run(written, "SELECT colbert.reindex('documents')")
        assert ordinals(written) == list(range(1, 36))

    def test_maintain_does_it_in_time_and_does_not_train(self, written: psycopg.Connection) -> None:
        self.move_on(written, "0.75 * colbert._plaid_last_ordinal() - 1")
        assert run(written, "SELECT state FROM colbert.indexes") == [("ready",)]
        self.move_on(written, "0.75 * colbert._plaid_last_ordinal() + 1")
        [[state, advice]] = run(written, "SELECT state, advice FROM colbert.indexes")
        assert state == "stale"
        assert advice == (
            "1609862737 of 2146483647 ordinals have been given out, run reindex with"
            " retrain => false"
        )
        before = centroids(written)
        run(written, "CALL colbert.maintain()")
        assert centroids(written) == before
        assert ordinals(written) == list(range(1, 36))
        assert run(written, "SELECT state, advice FROM colbert.indexes") == [("ready", None)]
        assert problems(written) == []
