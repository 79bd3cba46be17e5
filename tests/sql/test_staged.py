"""The method staged: candidates from the index of another column, scores from the column itself."""

import json

import numpy as np
import psycopg
import pytest

from tests.sql.documents import (
    METHODS,
    Documents,
    Matrix,
    clustered_documents,
    hint,
    keys,
    primary,
    problems,
    ranking,
    refusal,
    run,
    search,
    texts,
)

SIZE = 16
COUNT = 300
FIRST_STAGES = ["pooled", "short", "bits"]


def normal(matrix: Matrix) -> Matrix:
    unit: Matrix = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    return unit


def pooled(document: Matrix) -> Matrix:
    """Each two tokens as one."""
    return normal(document.reshape(-1, 2, SIZE).sum(axis=1))


def create_table(connection: psycopg.Connection, documents: Documents) -> None:
    """Table documents: vectors, pooled ones, their first eight dimensions, and their signs."""
    run(
        connection,
        f"CREATE TABLE documents (id bigint PRIMARY KEY, embeddings vector({SIZE})[],"
        f" pooled vector({SIZE})[], short halfvec({SIZE // 2})[], lang text,"
        f" bits bit({SIZE})[] GENERATED ALWAYS AS (colbert.binary_quantize(embeddings)) STORED)",
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            b"INSERT INTO documents (id, embeddings, pooled, short, lang) VALUES (%s,"
            b" %s::text[]::vector[], %s::text[]::vector[], %s::text[]::halfvec[], %s)",
            [
                (
                    key,
                    texts(document),
                    texts(pooled(document)),
                    texts(normal(document[:, : SIZE // 2])),
                    ("en", "de")[key % 2],
                )
                for key, document in documents.items()
            ],
        )
    run(connection, "ANALYZE documents")


def create_index(connection: psycopg.Connection, first_stage: str, method: str = "plaid") -> None:
    run(connection, f"SELECT colbert.create_index('documents', '{first_stage}', '{method}')")
    run(
        connection,
        "SELECT colbert.create_index("
        "'documents', options => jsonb_build_object('first_stage', %s::text))",
        first_stage,
    )


def share(found: list[tuple[object, ...]], true: list[tuple[object, float]]) -> float:
    return len(set(keys(found)) & set(keys(true))) / len(true)


@pytest.fixture
def drawn(rng: np.random.Generator) -> tuple[dict[int, Matrix], list[Matrix]]:
    """Documents of twelve tokens, and queries near some of them."""
    return clustered_documents(rng, COUNT, SIZE)


@pytest.fixture
def staged(
    connection: psycopg.Connection, drawn: tuple[dict[int, Matrix], list[Matrix]]
) -> psycopg.Connection:
    """A connection with table documents, whose first stage is pooled, by plaid."""
    create_table(connection, drawn[0])
    create_index(connection, "pooled")
    return connection


@pytest.mark.parametrize("first_stage", FIRST_STAGES)
@pytest.mark.parametrize("method", METHODS)
def test_scores_are_those_of_the_column_and_most_of_the_best_are_found(
    connection: psycopg.Connection,
    drawn: tuple[dict[int, Matrix], list[Matrix]],
    first_stage: str,
    method: str,
) -> None:
    documents, queries = drawn
    create_table(connection, documents)
    create_index(connection, first_stage, method)
    shares = []
    for query in queries:
        true = ranking(query, documents)
        scores = dict(true)
        found = search(connection, query)
        assert [score for _, score in found] == pytest.approx(
            sorted((scores[key] for key in keys(found)), reverse=True), abs=1e-5
        )
        shares.append(share(found, true[:10]))
        [(read,)] = run(
            connection,
            "SELECT detail FROM colbert.explain_search('documents', %s::text[]::vector[])"
            " WHERE stage = 'candidates'",
            texts(query),
        )
        how = "all scored" if method == "exact" else method
        assert read == f"{len(query)} query tokens; first stage: {first_stage}, {how}"
    assert np.mean(shares) > 0.85


def test_all_documents_are_scored_once_all_are_candidates(
    staged: psycopg.Connection, drawn: tuple[dict[int, Matrix], list[Matrix]]
) -> None:
    documents, queries = drawn
    run(staged, "SET LOCAL colbert.nprobe = 1000000")  # all that is filed is read
    for query in queries:
        true = ranking(query, documents, 10)
        for more in (", exact => true", f", candidates => {COUNT}"):
            assert keys(search(staged, query, more)) == keys(true)


def test_weights_of_query_tokens_count_in_fewer_dimensions_too(
    connection: psycopg.Connection, drawn: tuple[dict[int, Matrix], list[Matrix]]
) -> None:
    documents, queries = drawn
    create_table(connection, documents)
    create_index(connection, "short")
    query = queries[0].copy()
    query[0] *= 5
    true = ranking(query, documents, 10)
    assert share(search(connection, query), true) > 0.8


def test_the_query_of_the_first_stage_is_its_first_dimensions_at_the_same_weight(
    connection: psycopg.Connection,
) -> None:
    [[found]] = run(
        connection,
        'SELECT colbert._first_stage_query(\'{"[3,4,12]","[0,0,1]"}\'::vector[], 2)::text[]',
    )
    vectors = [np.array(json.loads(vector)) for vector in found]
    assert vectors[0] == pytest.approx(13 * np.array([0.6, 0.8]), rel=1e-6)
    assert vectors[1] == pytest.approx([0, 0])


@pytest.mark.parametrize("method", ["exact", "plaid", "hnsw"])
def test_a_filter_limits_what_is_searched(
    connection: psycopg.Connection,
    drawn: tuple[dict[int, Matrix], list[Matrix]],
    method: str,
) -> None:
    documents, queries = drawn
    create_table(connection, documents)
    create_index(connection, "pooled", method)
    german = {key: document for key, document in documents.items() if key % 2}
    shares = []
    for query in queries:
        found = search(
            connection, query, """, filter => 'lang = params->>''l''', params => '{"l": "de"}'"""
        )
        assert len(found) == 10
        assert all(key % 2 for key in keys(found))
        shares.append(share(found, ranking(query, german, 10)))
    assert np.mean(shares) > 0.85
    few = {key: documents[key] for key in range(1, 40)}
    assert keys(search(connection, queries[0], ", filter => 'id < 40'")) == keys(
        ranking(queries[0], few, 10)
    )


@pytest.mark.parametrize("method", ["exact", "plaid", "hnsw"])
def test_row_level_security_limits_what_is_searched(
    connection: psycopg.Connection,
    drawn: tuple[dict[int, Matrix], list[Matrix]],
    method: str,
) -> None:
    documents, queries = drawn
    create_table(connection, documents)
    create_index(connection, "pooled", method)
    run(connection, "ALTER TABLE documents ENABLE ROW LEVEL SECURITY")
    run(connection, "CREATE POLICY german ON documents FOR SELECT USING (lang = 'de')")
    run(connection, "CREATE ROLE staged_reader")
    run(connection, "GRANT SELECT ON documents TO staged_reader")
    run(connection, "SET LOCAL ROLE staged_reader")
    german = {key: document for key, document in documents.items() if key % 2}
    shares = []
    for query in queries:
        found = search(connection, query)
        assert len(found) == 10
        assert all(key % 2 for key in keys(found))
        shares.append(share(found, ranking(query, german, 10)))
    assert np.mean(shares) > 0.85


def test_a_document_without_a_first_stage_is_refused_when_it_is_written(
    staged: psycopg.Connection,
) -> None:
    for change in (
        "UPDATE documents SET pooled = NULL WHERE id = 1",
        "UPDATE documents SET pooled = '{}' WHERE id = 1",
        "INSERT INTO documents (id, embeddings) SELECT 0, embeddings FROM documents WHERE id = 1",
    ):
        error = refusal(staged, change)
        assert error.sqlstate == "23514"
        assert error.diag.constraint_name == "documents_embeddings_first_stage"
    run(staged, "UPDATE documents SET embeddings = NULL, pooled = NULL WHERE id = 1")
    run(staged, "UPDATE documents SET embeddings = '{}' WHERE id = 1")
    run(staged, "SET LOCAL session_replication_role = replica")  # no triggers
    assert refusal(staged, "UPDATE documents SET pooled = NULL WHERE id = 2").sqlstate == "23514"


def test_an_index_is_refused_where_a_document_has_no_first_stage(
    connection: psycopg.Connection, drawn: tuple[dict[int, Matrix], list[Matrix]]
) -> None:
    create_table(connection, drawn[0])
    run(connection, "UPDATE documents SET pooled = NULL WHERE id = 7")
    run(connection, "SELECT colbert.create_index('documents', 'pooled')")
    error = refusal(
        connection,
        """SELECT colbert.create_index('documents', options => '{"first_stage": "pooled"}')""",
    )
    assert 'has nothing in column "pooled", its first stage' in primary(error)
    assert error.sqlstate == "23502"


def test_a_constraint_that_is_gone_is_reported_and_mended(staged: psycopg.Connection) -> None:
    assert problems(staged) == []
    run(staged, "ALTER TABLE documents DROP CONSTRAINT documents_embeddings_first_stage")
    run(staged, "UPDATE documents SET pooled = NULL WHERE id = 7")
    assert problems(staged) == [("missing index", None), ("missing first stage", "7")]
    state = "SELECT state, advice FROM colbert.indexes WHERE method = 'staged'"
    [(found, advice)] = run(staged, state)
    assert (found, "run repair_index" in advice) == ("broken", True)
    assert refusal(staged, "SELECT colbert.repair_index('documents')").sqlstate == "23502"
    run(staged, "UPDATE documents SET pooled = embeddings WHERE id = 7")
    assert run(staged, "SELECT colbert.repair_index('documents')") == [(0,)]
    assert run(staged, state) == [("ready", None)]
    assert problems(staged) == []
    run(staged, "SELECT colbert.reindex('documents'), colbert.reindex('documents', 'pooled')")
    assert run(staged, state) == [("ready", None)]


def test_changes_of_both_columns_are_found(
    staged: psycopg.Connection, drawn: tuple[dict[int, Matrix], list[Matrix]]
) -> None:
    documents, _ = drawn
    assert keys(search(staged, documents[5], ", k => 1")) == [5]
    run(staged, "DELETE FROM documents WHERE id = 5")
    assert keys(search(staged, documents[5], ", k => 1")) != [5]
    run(
        staged,
        "INSERT INTO documents (id, embeddings, pooled) VALUES"
        " (1000, %s::text[]::vector[], %s::text[]::vector[])",
        texts(documents[5]),
        texts(pooled(documents[5])),
    )
    assert keys(search(staged, documents[5], ", k => 1")) == [1000]


def test_the_first_stage_is_dropped_last_and_the_constraint_goes_with_its_index(
    staged: psycopg.Connection,
) -> None:
    error = refusal(staged, "SELECT colbert.drop_index('documents', 'pooled')")
    assert error.sqlstate == "2BP01"
    assert "first" in hint(error)
    constraints = (
        "SELECT conname FROM pg_constraint WHERE conrelid = 'documents'::regclass AND contype = 'c'"
    )
    assert len(run(staged, constraints)) == 1
    run(staged, "SELECT colbert.drop_index('documents')")
    assert run(staged, constraints) == []
    run(staged, "SELECT colbert.drop_index('documents')")
    assert run(staged, "SELECT FROM colbert.indexes") == []


def test_a_column_that_is_dropped_breaks_the_index_which_says_so(
    staged: psycopg.Connection, drawn: tuple[dict[int, Matrix], list[Matrix]]
) -> None:
    run(staged, "ALTER TABLE documents DROP COLUMN pooled CASCADE")
    [(state, advice)] = run(
        staged, "SELECT state, advice FROM colbert.indexes WHERE method = 'staged'"
    )
    assert state == "broken"
    assert advice == 'column "pooled" cannot be a first stage: it is gone or of another type'
    statement = "SELECT * FROM colbert.search('documents', %s::text[]::vector[])"
    assert refusal(staged, statement, texts(drawn[1][0])).sqlstate == "55000"
    run(staged, "SELECT colbert.drop_index('documents'), colbert.drop_index('documents', 'pooled')")


@pytest.mark.parametrize(
    ("before", "arguments", "sqlstate", "message"),
    [
        ("SELECT 1", "'embeddings', 'staged'", "22023", "needs a first stage"),
        ("SELECT 1", """options => '{"first_stage": "pooled"}'""", "55000", "it has no index"),
        ("SELECT 1", """options => '{"first_stage": "nothing"}'""", "55000", "it has no index"),
        (
            "SELECT 1",
            """method => 'plaid', options => '{"first_stage": "pooled"}'""",
            "22023",
            "unknown option",
        ),
        (
            "SELECT colbert.create_index('documents', 'pooled')",
            """'short', options => '{"first_stage": "pooled"}'""",
            "55000",
            "it has 16 dimensions, more than 8",
        ),
        (
            "SELECT colbert.create_index('documents', 'bits'), colbert.create_index('documents',"
            """ 'pooled', options => '{"first_stage": "bits"}')""",
            """options => '{"first_stage": "pooled"}'""",
            "55000",
            "it has a first stage itself",
        ),
        (
            "ALTER TABLE documents ADD other bigint GENERATED ALWAYS AS IDENTITY UNIQUE;"
            "SELECT colbert.create_index('documents', 'pooled', key => 'other')",
            """options => '{"first_stage": "pooled"}'""",
            "55000",
            'its index has the key "other", not "id"',
        ),
        (
            "ALTER TABLE documents ALTER lang SET NOT NULL;"
            "SELECT colbert.create_index('documents', 'pooled',"
            """ options => '{"tenant": "lang"}')""",
            """options => '{"first_stage": "pooled"}'""",
            "55000",
            "its index is kept apart by tenant",
        ),
        (
            "ALTER TABLE documents ALTER lang SET NOT NULL;"
            "SELECT colbert.create_index('documents', 'pooled')",
            """options => '{"first_stage": "pooled", "tenant": "lang"}'""",
            "0A000",
            "does not keep tenants apart",
        ),
    ],
)
def test_what_cannot_be_a_first_stage_is_refused(
    connection: psycopg.Connection,
    drawn: tuple[dict[int, Matrix], list[Matrix]],
    before: str,
    arguments: str,
    sqlstate: str,
    message: str,
) -> None:
    create_table(connection, {key: drawn[0][key] for key in range(1, 4)})
    run(connection, before)
    error = refusal(connection, f"SELECT colbert.create_index('documents', {arguments})")
    assert (error.sqlstate, message in primary(error)) == (sqlstate, True), primary(error)


def test_recall_is_measured_and_tuned_as_of_any_index(staged: psycopg.Connection) -> None:
    [(recall,)] = run(
        staged, "SELECT recall FROM colbert.measure_recall('documents', sample => 100)"
    )
    assert recall > 0.8
    chosen = run(
        staged,
        "SELECT setting FROM colbert.tune('documents', target_recall => 0.5, sample => 5)"
        " WHERE chosen",
    )
    [(options,)] = run(staged, "SELECT options FROM colbert.indexes WHERE method = 'staged'")
    assert options == {"first_stage": "pooled"} | chosen[0][0]


def test_hybrid_search_and_search_of_parents_go_through_the_first_stage(
    staged: psycopg.Connection, drawn: tuple[dict[int, Matrix], list[Matrix]]
) -> None:
    query = texts(drawn[1][0])
    run(staged, "ALTER TABLE documents ADD words text; UPDATE documents SET words = 'cat'")
    found = run(
        staged,
        "SELECT doc_id FROM colbert.hybrid_search("
        "'documents', %s::text[]::vector[], 'cat', content => 'words')",
        query,
    )
    assert len(found) == 10
    run(staged, "ALTER TABLE documents ADD parent bigint")
    run(staged, "UPDATE documents SET parent = id / 3")
    found = run(
        staged,
        "SELECT doc_id FROM colbert.search_parents('documents', %s::text[]::vector[], 'parent')",
        query,
    )
    assert len(found) == 10


def test_an_index_is_created_and_built_anew_beside_writers(
    own_connection: psycopg.Connection, drawn: tuple[dict[int, Matrix], list[Matrix]]
) -> None:
    documents, queries = drawn
    create_table(own_connection, documents)
    run(own_connection, "SELECT colbert.create_index('documents', 'pooled', 'plaid')")
    own_connection.commit()
    own_connection.autocommit = True
    for call in (
        """create_index_concurrently('documents', options => '{"first_stage": "pooled"}')""",
        "reindex_concurrently('documents')",
        "reindex_concurrently('documents', 'pooled')",
    ):
        run(own_connection, f"CALL colbert.{call}")
        assert run(own_connection, "SELECT DISTINCT state FROM colbert.indexes") == [("ready",)]
    assert refusal(own_connection, "UPDATE documents SET pooled = NULL").sqlstate == "23514"
    found = search(own_connection, queries[0])
    assert share(found, ranking(queries[0], documents, 10)) > 0.7
