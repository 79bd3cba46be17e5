"""The method plaid: what is its own; what all methods promise is tested elsewhere."""

import threading
from collections.abc import Callable

import numpy as np
import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.servers import as_role
from tests.sql.documents import (
    AB,
    A,
    B,
    Matrix,
    clustered_documents,
    count,
    create_index,
    create_table,
    insert,
    keys,
    near,
    problems,
    refusal,
    run,
    search,
    texts,
    unit,
    unit_documents,
)
from tests.waiting import wait_for

CENTROIDS, POSTINGS, FILED = (
    f"documents_embeddings_{table}" for table in ("centroids", "postings", "documents")
)


TOKENS = 600 * 12


def recall(connection: psycopg.Connection, queries: list[Matrix], more: str = "") -> float:
    found = 0
    for query in queries:
        true = keys(search(connection, query, ", exact => true"))
        found += len(set(true) & set(keys(search(connection, query, more))))
    return found / (10 * len(queries))


def test_training_gives_sixteen_times_the_root_of_the_tokens(many: psycopg.Connection) -> None:
    assert count(many, CENTROIDS, "trained") == pytest.approx(16 * np.sqrt(TOKENS), rel=0.02)
    assert count(many, CENTROIDS, "NOT trained") == 0
    [[norms]] = run(many, f"SELECT avg(l2_norm(centroid)) FROM {CENTROIDS}")
    assert norms == pytest.approx(1, abs=1e-3)


def test_training_takes_the_memory_that_it_needs(many: psycopg.Connection) -> None:
    run(many, "SET LOCAL maintenance_work_mem = '1MB'")
    run(many, "SELECT colbert.reindex('documents')")
    assert count(many, CENTROIDS, "trained") > 1000
    assert run(many, "SHOW maintenance_work_mem") == [("1MB",)]


@pytest.mark.parametrize(
    ("tokens", "centroids"),
    [
        (0, 0),
        (10_000, 1_600),
        (5_760_000, 38_400),
        (15_000_000, 100_000),
        (15_210_000, 101_400),
        (64_000_000, 208_000),
    ],
)
def test_a_large_table_wants_a_centroid_for_150_tokens_and_then_fewer(
    connection: psycopg.Connection, tokens: int, centroids: int
) -> None:
    wanted = "SELECT colbert._plaid_wanted_centroids(%s)"
    assert run(connection, wanted, tokens) == [(centroids,)]


@pytest.mark.parametrize(
    "tokens", [10_000, 1_000_000, 5_000_000, 6_000_000, 14_000_000, 60_000_000]
)
def test_centroids_grow_by_as_many_as_are_wanted(
    connection: psycopg.Connection, tokens: int
) -> None:
    more = tokens // 100
    [[chance, wanted]] = run(
        connection,
        "SELECT colbert._plaid_centroid_chance(colbert._plaid_wanted_centroids(%s)),"
        "       colbert._plaid_wanted_centroids(%s) - colbert._plaid_wanted_centroids(%s)",
        *(tokens, tokens + more, tokens),
    )
    assert chance * more == pytest.approx(wanted, rel=0.1)


def test_an_index_that_grew_from_an_empty_table_finds_what_a_trained_one_finds(
    connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    create_table(connection, embeddings="vector(16)[]")
    create_index(connection, "documents", ", method => 'plaid'")
    documents, queries = clustered_documents(rng, 600, 16)
    insert(connection, documents)
    grown = recall(connection, queries)
    assert count(connection, CENTROIDS) == pytest.approx(16 * np.sqrt(TOKENS), rel=0.3)
    assert problems(connection) == []
    run(connection, "SELECT colbert.reindex('documents')")
    assert problems(connection) == []
    assert count(connection, CENTROIDS, "NOT trained") == 0
    trained = recall(connection, queries)
    assert grown > 0.85
    assert trained > 0.85


def test_equal_tokens_make_one_centroid(connection: psycopg.Connection) -> None:
    create_table(connection)
    create_index(connection, "documents", ", method => 'plaid'")
    insert(connection, dict.fromkeys(range(1, 100), AB))
    assert count(connection, CENTROIDS) == 2
    assert count(connection, POSTINGS) == 2 * 99
    run(connection, "SELECT colbert.reindex('documents')")
    assert count(connection, CENTROIDS) == 2


@pytest.mark.parametrize("trained", [True, False])
def test_the_option_centroids_limits_them(
    connection: psycopg.Connection, rng: np.random.Generator, trained: bool
) -> None:
    create_table(connection)
    documents = unit_documents(rng, 50)
    first, second = (insert, create_index) if trained else (create_index, insert)
    for step in (first, second):
        if step is insert:
            insert(connection, documents)
        else:
            given = """, method => 'plaid', options => '{"centroids": 20}'"""
            create_index(connection, "documents", given)
    assert 10 <= count(connection, CENTROIDS) <= 24  # a document that grows it adds all its tokens
    assert keys(search(connection, documents[7], ", k => 1")) == [7]


def test_documents_are_ranked_by_probed_centroids_and_scored_until_patience_runs_out(
    many: psycopg.Connection, rng: np.random.Generator
) -> None:
    query = unit(rng, 8, 16)
    scored = []
    for patience in (1, 10, 600):
        run(many, f"SET LOCAL colbert.patience = {patience}")
        statement = (
            "SELECT documents FROM colbert.explain_search('documents', %s::text[]::vector[],"
            " candidates => 500) WHERE stage = 'scores'"
        )
        scored.append(run(many, statement, texts(query))[0][0])
    assert 10 < scored[0] < scored[1] < scored[2] <= 500


def test_documents_are_found_whose_full_stop_was_not_read(
    connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    """Full stops have 75 centroids, as near to the query as each other, and others are far.

    A search reads the postings of some forty of a hundred centroids: those of the full stops of
    some documents. That must not hide those of the twenty that say the word whose is another.
    """
    full_stop, *words = unit(rng, 61, 64)
    full_stops = near(rng, np.tile(full_stop, (75, 1)), 0.5)
    centroids = np.concatenate([full_stops, near(rng, np.repeat(words, 26, axis=0), 0.5)])
    documents: dict[int, Matrix] = {}
    for key in range(1, 1001):
        spoken = rng.choice(np.arange(1, 60), size=9, replace=False)
        if key % 50 == 0:
            spoken[0] = 0
        said = near(rng, np.array(words)[spoken], 0.5)
        documents[key] = np.stack([full_stops[key % 75], *said])
    query = np.stack([*near(rng, np.tile(full_stop, (4, 1)), 0.2), words[0]])
    create_table(connection, embeddings="vector(64)[]")
    options = Jsonb({"centroids": len(centroids)})  # no token becomes another
    create_index(connection, "documents", ", method => 'plaid', options => %s", options)
    run(
        connection,
        f"INSERT INTO {CENTROIDS} (centroid, trained)"
        " SELECT u.centroid::halfvec, true FROM unnest(%s::text[]) AS u (centroid)",
        texts(centroids),
    )
    insert(connection, documents)
    run(connection, "ANALYZE")
    [(scored,)] = run(
        connection,
        "SELECT documents FROM colbert.explain_search('documents', %s::text[]::vector[])"
        " WHERE stage = 'scores'",
        texts(query),
    )
    assert scored < 80
    assert all(key % 50 == 0 for key in keys(search(connection, query)))


def test_an_update_moves_a_document_and_a_delete_leaves_nothing(many: psycopg.Connection) -> None:
    other = "(SELECT embeddings FROM documents WHERE id = 2)"
    run(many, f"UPDATE documents SET embeddings = {other} WHERE id = 1")
    assert problems(many) == []
    found = run(many, f"SELECT doc_id FROM colbert.search('documents', {other}, k => 2)")
    assert keys(found) == [1, 2]
    run(many, "DELETE FROM documents")
    assert (count(many, POSTINGS), count(many, FILED)) == (0, 0)
    assert count(many, CENTROIDS) > 0


DAMAGES: dict[str, tuple[str, list[tuple[str, str | None]]]] = {
    "postings deleted": (
        f"DELETE FROM {POSTINGS} USING {FILED} AS d WHERE d.ordinal = {POSTINGS}.ordinal "
        "AND d.doc_id = 3 AND centroid_id = d.centroid_ids[1]",
        [("stale document", "3")],
    ),
    "a posting moved": (
        f"UPDATE {POSTINGS} AS p SET centroid_id = (SELECT min(id) FROM {CENTROIDS} "
        f"WHERE id <> ALL (d.centroid_ids)) FROM {FILED} AS d "
        "WHERE d.ordinal = p.ordinal AND d.doc_id = 3 AND centroid_id = d.centroid_ids[1]",
        [("stale document", "3")],
    ),
    "postings of no document": (
        f"INSERT INTO {POSTINGS} SELECT min(id), -1 FROM {CENTROIDS}",
        [("orphaned postings", None)],
    ),
    "a document gone from the index": (
        f"DELETE FROM {FILED} WHERE doc_id = 3",
        [("missing document", "3"), ("orphaned postings", None)],
    ),
    "a centroid gone": (
        f"DELETE FROM {CENTROIDS} "
        f"WHERE id = (SELECT centroid_ids[1] FROM {FILED} WHERE doc_id = 3)",
        [("stale document", "3")],
    ),
    "an array changed unseen": (
        "SET LOCAL session_replication_role = replica; "
        "UPDATE documents SET embeddings = embeddings[2:] WHERE id = 3",
        [("stale document", "3")],
    ),
    "pgvector's index dropped": (
        f"DROP INDEX {CENTROIDS}_centroid_idx",
        [("missing index", None)],
    ),
    "a table dropped": (f"DROP TABLE {POSTINGS}", [("missing table", None)]),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("mend", ["repair_index", "reindex"])
def test_every_damage_is_found_and_mended(many: psycopg.Connection, damage: str, mend: str) -> None:
    statement, expected = DAMAGES[damage]
    run(many, statement)
    many.commit()
    found = problems(many)
    assert set(expected) <= set(found)
    assert damage == "a centroid gone" or found == expected
    run(many, f"SELECT colbert.{mend}('documents')")
    assert problems(many) == []
    assert run(many, "SELECT state FROM colbert.indexes") == [("ready",)]


def test_retraining_is_due_when_more_centroids_came_in_than_were_trained(
    many: psycopg.Connection,
) -> None:
    run(
        many,
        f"INSERT INTO {CENTROIDS} (centroid, trained) "
        f"SELECT centroid, false FROM {CENTROIDS} CROSS JOIN generate_series(1, 3)",
    )
    [[state, advice]] = run(many, "SELECT state, advice FROM colbert.indexes")
    assert state == "stale"
    assert advice.endswith("have come in since the training, run reindex")
    run(many, "SELECT colbert.reindex('documents')")
    assert run(many, "SELECT state FROM colbert.indexes") == [("ready",)]


def test_searches_go_on_while_reindex_runs_and_find_all_there_is(
    many: psycopg.Connection, many_database: str, rng: np.random.Generator
) -> None:
    query, everything = unit(rng, 8, 16), ", k => 600"
    expected = search(many, query, ", k => 600, exact => true")
    many.rollback()
    many.autocommit = True
    reindex = threading.Thread(target=run, args=(many, "SELECT colbert.reindex('documents')"))
    with (
        psycopg.connect(many_database, autocommit=True) as reader,
        psycopg.connect(many_database) as old,
    ):
        old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        assert search(old, query, everything) == expected
        run(old, "SAVEPOINT before")
        run(old, "ROLLBACK TO before")
        reindex.start()
        searches = 0
        while reindex.is_alive():
            assert search(reader, query, everything) == expected
            searches += 1
            if searches == 3:  # reindex ends no sooner
                old.rollback()
        reindex.join()
        assert searches > 2
        assert search(reader, query, everything) == expected
    assert problems(many) == []


def test_a_writer_with_a_snapshot_from_before_reindex_gets_a_serialization_failure(
    many: psycopg.Connection, many_database: str
) -> None:
    with psycopg.connect(many_database) as writer:
        writer.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        run(writer, "SELECT 1 FROM documents LIMIT 1")
        run(many, "SELECT colbert.reindex('documents')")
        many.commit()
        error = refusal(writer, "INSERT INTO documents SELECT 0, embeddings FROM documents LIMIT 1")
        assert error.sqlstate == "40001"
    assert problems(many) == []


def test_another_session_sees_how_far_a_build_is(
    many: psycopg.Connection, many_database: str
) -> None:
    run(many, "SET application_name = 'mine'")
    seen = set()
    done = threading.Event()

    def watch() -> None:
        with psycopg.connect(many_database, autocommit=True) as observer:
            while not done.is_set():
                statement = "SELECT application_name FROM pg_stat_activity WHERE pid = %s"
                seen.add(run(observer, statement, many.info.backend_pid)[0][0])

    watcher = threading.Thread(target=watch)
    watcher.start()

    def seen_at_work() -> bool:
        """Build the index once more: on a busy machine the watcher may sleep meanwhile."""
        run(many, "SELECT colbert.reindex('documents')")
        return any(name.startswith("colbert_pg: building, step ") for name in seen)

    try:
        wait_for(seen_at_work, "the build to be seen")
    finally:
        done.set()
        watcher.join()
    assert run(many, "SHOW application_name") == [("mine",)]


def test_who_may_not_see_all_documents_sees_no_centroids_and_no_postings(
    own_connection: psycopg.Connection, database: str, new_role: Callable[[], str]
) -> None:
    tenant, stranger, reader = new_role(), new_role(), new_role()
    create_table(own_connection, more=", tenant text")
    create_index(own_connection, "documents", ", method => 'plaid'")
    insert(own_connection, {1: A, 2: B, 3: AB})
    run(
        own_connection,
        f"UPDATE documents SET tenant = '{tenant}' WHERE id = 1;"
        f"GRANT SELECT (id, embeddings) ON documents TO {tenant}, {reader};"
        "ALTER TABLE documents ENABLE ROW LEVEL SECURITY;"
        f"CREATE POLICY own ON documents TO {tenant} USING (id = 1);"
        f"CREATE POLICY every ON documents TO {reader} USING (true)",
    )
    own_connection.commit()
    for role in (tenant, reader):
        with psycopg.connect(as_role(database, role)) as restricted:
            assert count(restricted, CENTROIDS) == 0
            assert count(restricted, POSTINGS) == 0
    with psycopg.connect(as_role(database, tenant)) as restricted:
        assert run(restricted, f"SELECT doc_id FROM {FILED}") == [(1,)]
        assert keys(search(restricted, AB)) == [1]
    with psycopg.connect(as_role(database, stranger)) as outsider:
        for table in (CENTROIDS, POSTINGS, FILED):
            assert refusal(outsider, f"SELECT count(*) FROM {table}").sqlstate == "42501"
    run(own_connection, "ALTER TABLE documents DISABLE ROW LEVEL SECURITY")
    own_connection.commit()
    with psycopg.connect(as_role(database, reader)) as everything:
        assert count(everything, CENTROIDS) == 2
        assert count(everything, POSTINGS) == 4
        assert keys(search(everything, AB)) == [3, 1, 2]


def test_the_view_of_indexes_is_for_everybody_and_every_state(
    many: psycopg.Connection, many_database: str, new_role: Callable[[], str]
) -> None:
    with psycopg.connect(as_role(many_database, new_role())) as stranger:
        seen = run(stranger, "SELECT method, documents, tokens, state FROM colbert.indexes")
    assert seen == [("plaid", 600, None, "ready")]
    assert run(many, "SELECT tokens FROM colbert.indexes") == [(TOKENS,)]
    run(many, f"DROP TABLE {FILED}")
    advice = "a table of the index was dropped, run repair_index"
    seen = run(many, "SELECT tokens, state, advice FROM colbert.indexes")
    assert seen == [(None, "broken", advice)]
    many.rollback()
    run(many, "DROP TABLE documents CASCADE")
    [[state, advice]] = run(many, "SELECT state, advice FROM colbert.indexes")
    assert state == "broken"
    assert advice.startswith("the table was dropped")


def test_an_index_with_a_text_column_has_a_state_and_counts_its_tokens(
    connection: psycopg.Connection,
) -> None:
    create_table(connection, more=", content text")
    insert(connection, {1: AB})
    options = """, method => 'plaid', options => '{"text": "content"}'"""
    create_index(connection, "documents", options)
    run(connection, f"ANALYZE {FILED}")
    assert run(connection, "SELECT tokens, state FROM colbert.indexes") == [(2, "ready")]


def test_vectors_beyond_the_limit_of_pgvector_are_refused(connection: psycopg.Connection) -> None:
    create_table(connection, embeddings="vector(5000)[]")
    error = refusal(connection, "SELECT colbert.create_index('documents', method => 'plaid')")
    assert error.sqlstate == "54000"
    assert "plaid takes vectors of at most 4000 dimensions, not 5000" in str(error)
