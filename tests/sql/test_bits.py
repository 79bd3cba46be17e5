"""Columns of bits: maxsim, every method, search with the signs of a query, what is refused."""

import numpy as np
import psycopg
import pytest

from tests.sql.documents import (
    METHODS,
    Documents,
    Matrix,
    clustered_documents,
    create_index,
    hint,
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

BITS = 16
Row = tuple[object, ...]


def signs(matrix: Matrix) -> Matrix:
    """The matrix as bits keep it: 1 where a number is positive, else 0."""
    return (matrix > 0).astype(np.float32)


def similarities(query: Matrix, document: Matrix) -> Matrix:
    """1 - hamming distance / bits, for each query token and document token."""
    share: Matrix = (signs(query)[:, None, :] == signs(document)[None, :, :]).mean(axis=2)
    return share


def bit_score(query: Matrix, document: Matrix) -> float:
    """The score as its definition says."""
    return float(similarities(query, document).max(axis=1).sum()) if len(document) else 0.0


def bit_ranking(query: Matrix, documents: Documents, k: int) -> list[tuple[object, float]]:
    scored = [(key, bit_score(query, d)) for key, d in documents.items() if len(d)]
    return sorted(scored, key=lambda row: (-row[1], row[0]))[:k]


def literals(matrix: Matrix) -> list[str]:
    return ["".join("1" if x > 0 else "0" for x in row) for row in matrix]


def create_table(connection: psycopg.Connection, documents: Documents, bits: int = BITS) -> None:
    """Table documents: vectors, and bits generated from them."""
    run(
        connection,
        f"CREATE TABLE documents (id bigint PRIMARY KEY, floats vector({bits})[],"
        f" embeddings bit({bits})[] GENERATED ALWAYS AS (colbert.binary_quantize(floats)) STORED)",
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            b"INSERT INTO documents (id, floats) VALUES (%s, %s::text[]::vector[])",
            [(key, texts(document)) for key, document in documents.items()],
        )


@pytest.fixture
def drawn(rng: np.random.Generator) -> tuple[dict[int, Matrix], Matrix]:
    """Documents of several tokens and a query, of 16 dimensions."""
    return unit_documents(rng, 60, 6, BITS), unit(rng, 5, BITS)


@pytest.mark.parametrize("tokens", [1, 15, 16, 17, 33, 200])
@pytest.mark.parametrize("bits", [1, 3, 8, 100, 128, 2000])
def test_score_is_the_best_share_of_bits_in_common_summed(
    connection: psycopg.Connection, rng: np.random.Generator, tokens: int, bits: int
) -> None:
    query, document = unit(rng, tokens, bits), unit(rng, 7, bits)
    [[score]] = run(
        connection,
        f"SELECT colbert.maxsim(%s::text[]::bit({bits})[], %s::text[]::bit({bits})[])",
        literals(query),
        literals(document),
    )
    assert score == pytest.approx(bit_score(query, document), rel=1e-12)


def test_score_is_that_of_the_function_of_pgvectors_examples(
    connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    run(
        connection,
        """CREATE FUNCTION pg_temp.max_sim(document bit[], query bit[]) RETURNS float8 LANGUAGE sql
        AS $$ SELECT sum(best) FROM (
          SELECT max(1 - (d <~> q) / bit_length(q)) AS best
            FROM unnest(query) WITH ORDINALITY AS u (q, i), unnest(document) AS d GROUP BY i) AS s
        $$""",
    )
    create_table(connection, unit_documents(rng, 20, 6, BITS))
    query = literals(unit(rng, 5, BITS))
    statement = f"SELECT {{}} FROM documents, (SELECT %s::text[]::bit({BITS})[] AS q) AS q"
    [[ours]] = run(connection, statement.format("sum(colbert.maxsim(q, embeddings))"), query)
    [[theirs]] = run(connection, statement.format("sum(pg_temp.max_sim(embeddings, q))"), query)
    assert ours == pytest.approx(theirs, rel=1e-12)


def test_an_empty_document_of_bits_scores_0_and_a_null_one_null(
    connection: psycopg.Connection,
) -> None:
    assert run(
        connection,
        "SELECT colbert.maxsim(ARRAY[B'01'], '{}'::bit[]), colbert.maxsim(ARRAY[B'01'], NULL)",
    ) == [(0, None)]


@pytest.mark.parametrize(
    ("query", "document", "sqlstate"),
    [
        ("'{}'::bit[]", "ARRAY[B'01']", "22023"),
        ("ARRAY[B'01', NULL]", "ARRAY[B'01']", "22004"),
        ("ARRAY[B'01']", "ARRAY[B'01', NULL]", "22004"),
        ("ARRAY[ARRAY[B'01']]", "ARRAY[B'01']", "2202E"),
        ("ARRAY[B'01']", "ARRAY[ARRAY[B'01']]", "2202E"),
        ("ARRAY[B'01']", "ARRAY[B'011']", "22000"),
    ],
)
def test_scoring_refuses_what_is_no_array_of_bits_of_one_length(
    connection: psycopg.Connection, query: str, document: str, sqlstate: str
) -> None:
    error = refusal(connection, f"SELECT colbert.maxsim({query}, {document})")
    assert error.sqlstate == sqlstate
    error = refusal(connection, f"SELECT * FROM colbert.maxsim_matches({query}, {document})")
    assert error.sqlstate == sqlstate


def test_matches_of_bits_are_the_terms_of_the_score(
    connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    query, document = unit(rng, 20, BITS), unit(rng, 9, BITS)
    found = run(
        connection,
        "SELECT * FROM colbert.maxsim_matches"
        f"(%s::text[]::bit({BITS})[], %s::text[]::bit({BITS})[])",
        literals(query),
        literals(document),
    )
    table = similarities(query, document)
    assert found == [
        (i + 1, int(row.argmax()) + 1, pytest.approx(float(row.max())))
        for i, row in enumerate(table)
    ]


def test_binary_quantize_keeps_the_order_and_sets_bits_of_positive_numbers(
    connection: psycopg.Connection,
) -> None:
    vectors = """'{"[0.6,-0.8,0]","[-1,0.5,2]"}'"""
    for element in ("vector", "halfvec"):
        assert run(connection, f"SELECT colbert.binary_quantize({vectors}::{element}[])::text") == [
            ("{100,011}",)
        ]
        error = refusal(connection, f"SELECT colbert.binary_quantize(ARRAY[NULL::{element}])")
        assert error.sqlstate == "22004"
    assert run(connection, "SELECT colbert.binary_quantize('{}'::vector[])::text") == [("{}",)]


def test_no_call_of_two_arrays_or_of_a_key_became_ambiguous(documents: psycopg.Connection) -> None:
    for arguments, types in {
        "$1, embeddings": "{vector[]}",
        "$1, id": "{vector[]}",
        "$1, 1": "{vector[]}",
        "$1, 1, 'documents'": "{vector[]}",
        "$1, doc_id => 1, source => 'documents'": "{vector[]}",
        "$1, bits": "{bit[]}",
    }.items():
        for function in ("maxsim", "maxsim_matches"):
            with documents.transaction(force_rollback=True):
                run(documents, "ALTER TABLE documents ADD bits bit(3)[]")
                run(
                    documents,
                    "PREPARE call AS"
                    f" SELECT f.* FROM documents, colbert.{function}({arguments}) AS f",
                )
                [[given]] = run(
                    documents,
                    "SELECT parameter_types::text FROM pg_prepared_statements WHERE name = 'call'",
                )
                run(documents, "DEALLOCATE call")
                assert given == types


@pytest.mark.parametrize("method", METHODS)
def test_search_over_bits_is_that_of_the_signs_of_the_query(
    connection: psycopg.Connection, drawn: tuple[dict[int, Matrix], Matrix], method: str
) -> None:
    documents, query = drawn
    create_table(connection, documents)
    create_index(connection, "documents", f", method => '{method}'")
    for more in ("", ", exact => true"):
        found = search(connection, query, ", k => 60" + more)
        assert found == [(k, pytest.approx(s)) for k, s in bit_ranking(query, documents, 60)]
        assert search(connection, query, ", k => 3" + more) == found[:3]
    assert problems(connection) == []


@pytest.mark.parametrize("method", METHODS)
def test_bits_found_in_an_index_are_nearly_those_of_exact_search(
    connection: psycopg.Connection, rng: np.random.Generator, method: str
) -> None:
    documents, queries = clustered_documents(rng, 500, 64)
    create_table(connection, documents, 64)
    create_index(connection, "documents", f", method => '{method}'")
    recall = np.mean(
        [
            sum(score >= bit_ranking(query, documents, 10)[-1][1] - 1e-9 for _, score in found) / 10
            for query in queries
            for found in [search(connection, query, ", k => 10")]
        ]
    )
    assert recall >= 0.9


@pytest.mark.parametrize("method", METHODS)
def test_an_index_on_bits_follows_its_writers(
    connection: psycopg.Connection, drawn: tuple[dict[int, Matrix], Matrix], method: str
) -> None:
    documents, query = drawn
    create_table(connection, {})
    create_index(connection, "documents", f", method => '{method}'")
    with connection.cursor() as cursor:
        cursor.executemany(
            b"INSERT INTO documents (id, floats) VALUES (%s, %s::text[]::vector[])",
            [(key, texts(document)) for key, document in documents.items()],
        )
    run(connection, "DELETE FROM documents WHERE id <= 10")
    run(
        connection,
        "UPDATE documents SET floats = (SELECT floats FROM documents WHERE id = 20) WHERE id = 30",
    )
    documents = {k: d for k, d in documents.items() if k > 10}
    documents[30] = documents[20]
    assert problems(connection) == []
    found = search(connection, query, ", k => 50")
    assert found == [(k, pytest.approx(s)) for k, s in bit_ranking(query, documents, 50)]


@pytest.mark.parametrize("method", ["hnsw", "ivfflat", "plaid"])
def test_check_finds_and_repair_mends_what_was_written_unseen(
    connection: psycopg.Connection, drawn: tuple[dict[int, Matrix], Matrix], method: str
) -> None:
    documents, query = drawn
    create_table(connection, documents)
    create_index(connection, "documents", f", method => '{method}'")
    run(
        connection,
        "SET session_replication_role = replica;"
        "DELETE FROM documents WHERE id = 1;"
        "UPDATE documents SET floats = (SELECT floats FROM documents WHERE id = 3) WHERE id = 2;"
        "INSERT INTO documents (id, floats) SELECT 99, floats FROM documents WHERE id = 4;"
        "RESET session_replication_role",
    )
    assert sorted(problems(connection)) == [
        ("missing document", "99"),
        ("orphaned document", "1"),
        ("stale document", "2"),
    ]
    run(connection, "SELECT colbert.repair_index('documents')")
    assert problems(connection) == []
    run(connection, "SELECT colbert.reindex('documents')")
    assert problems(connection) == []
    del documents[1]
    documents[2], documents[99] = documents[3], documents[4]
    found = search(connection, query, ", k => 60")
    assert found == [(k, pytest.approx(s)) for k, s in bit_ranking(query, documents, 60)]


@pytest.mark.parametrize(
    ("bits", "sqlstate", "problem"),
    [
        ("ARRAY[B'0101', NULL]", "22004", 'document "1": token 2 is NULL'),
        ("ARRAY[ARRAY[B'0101']]", "2202E", 'document "1": the array has 2 dimensions'),
        (
            "ARRAY[B'0101', B'010']",
            "22000",
            'document "1": token 2 has 3 dimensions, expected 4',
        ),
    ],
)
def test_bad_arrays_of_bits_are_refused_and_found(
    connection: psycopg.Connection, bits: str, sqlstate: str, problem: str
) -> None:
    # A table made from a query has bits of no declared length.
    run(
        connection, "CREATE TABLE documents AS SELECT 1::bigint AS id, ARRAY[B'0101'] AS embeddings"
    )
    run(connection, "ALTER TABLE documents ADD PRIMARY KEY (id)")
    create_index(connection, "documents")
    error = refusal(connection, f"UPDATE documents SET embeddings = {bits}")
    assert (error.sqlstate, primary(error)) == (sqlstate, problem)
    run(
        connection,
        "SET session_replication_role = replica;"
        f"UPDATE documents SET embeddings = {bits}; RESET session_replication_role",
    )
    assert ("bad document", "1") in problems(connection)
    run(connection, "SELECT colbert.repair_index('documents')")
    assert problems(connection) == [("bad document", "1")]


def test_every_string_of_bits_is_a_good_token_and_null_and_empty_arrays_are_no_documents(
    connection: psycopg.Connection,
) -> None:
    run(connection, "CREATE TABLE documents (id int PRIMARY KEY, embeddings bit(2)[])")
    create_index(connection, "documents")
    run(connection, "INSERT INTO documents VALUES (1, '{00,11,00}'), (2, '{}'), (3, NULL)")
    query = np.array([[1, -1]], dtype=np.float32) / np.sqrt(np.float32(2))
    assert search(connection, query) == [(1, 0.5)]
    assert problems(connection) == []


def test_options_that_say_nothing_of_bits_are_refused(connection: psycopg.Connection) -> None:
    run(connection, "CREATE TABLE documents (id int PRIMARY KEY, embeddings bit(2)[])")
    for value in ("true", "false"):
        error = refusal(
            connection,
            "SELECT colbert.create_index('documents', options => %s)",
            f'{{"normalized": {value}}}',
        )
        assert error.sqlstate == "22023"
        assert primary(error).startswith('option "normalized" has no meaning for column')
        assert hint(error) == "Leave the option out."
    statement = "SELECT colbert.create_index('documents', method => 'hnsw', options => %s)"
    error = refusal(connection, statement, '{"token_type": "halfvec"}')
    assert error.sqlstate == "22023"
    assert primary(error).endswith("cannot be kept as halfvec")
    run(connection, statement, '{"token_type": "bit"}')


def test_the_length_of_a_query_token_weighs_its_bits(
    connection: psycopg.Connection, drawn: tuple[dict[int, Matrix], Matrix]
) -> None:
    documents, query = drawn
    weights = np.array([3, 1, 0.5, 1e30, 1e-30], dtype=np.float32)
    create_table(connection, documents)
    create_index(connection, "documents")

    def weighted(document: Matrix) -> float:
        return float(similarities(query, document).max(axis=1) @ weights.astype(np.float64))

    expected = sorted(((k, weighted(d)) for k, d in documents.items()), key=lambda r: (-r[1], r[0]))
    heavy = query * weights[:, None]
    for more in ("", ", exact => true"):
        found = search(connection, heavy, ", k => 10" + more)
        assert [s for _, s in found] == [pytest.approx(s) for _, s in expected[:10]]
    best = found[0][0]
    statement = "SELECT colbert.maxsim(%s::text[]::vector[], %s::bigint)"
    assert run(connection, statement, texts(heavy), best) == [(found[0][1],)]


def test_rerank_matches_parents_and_hybrid_search_take_vectors_for_bits(
    connection: psycopg.Connection, drawn: tuple[dict[int, Matrix], Matrix]
) -> None:
    documents, query = drawn
    create_table(connection, documents)
    run(connection, "ALTER TABLE documents ADD parent int, ADD content text DEFAULT 'a word'")
    run(connection, "UPDATE documents SET parent = id / 10")
    create_index(connection, "documents")
    best = bit_ranking(query, documents, 60)
    vectors = texts(query)

    def rows(call: str) -> list[tuple[object, ...]]:
        return run(connection, f"SELECT * FROM colbert.{call}", vectors)

    q = "%s::text[]::vector[]"
    reranked = rows(f"rerank('documents', {q}, ARRAY[5, 7, 9, 11]::bigint[])")
    assert reranked == [(k, pytest.approx(s)) for k, s in best if k in (5, 7, 9, 11)]
    [[key, score], *_] = best
    assert rows(f"maxsim({q}, {key})") == [(pytest.approx(score),)]
    table = similarities(query, documents[int(str(key))])
    assert [row[1:] for row in rows(f"maxsim_matches({q}, {key})")] == [
        (int(row.argmax()) + 1, pytest.approx(float(row.max()))) for row in table
    ]
    parents = rows(f"search_parents('documents', {q}, 'parent', k => 1)")
    assert parents == [(int(str(key)) // 10, pytest.approx(score), key)]
    hybrid = rows(f"hybrid_search('documents', {q}, 'word', k => 3, text_weight => 0)")
    assert [row[0] for row in hybrid] == [k for k, _ in best[:3]]
    stages = rows(f"explain_search('documents', {q}, exact => true)")
    assert [row[:2] for row in stages] == [("all", 60)]


def test_queries_drawn_from_bits_and_stored_as_bits_measure_and_tune_an_index(
    connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    documents, queries = clustered_documents(rng, 150, BITS)
    create_table(connection, documents)
    create_index(connection, "documents")
    run(connection, f"CREATE TABLE questions (embeddings bit({BITS})[])")
    for query in queries[:3]:
        run(
            connection,
            "INSERT INTO questions VALUES (colbert.binary_quantize(%s::text[]::vector[]))",
            texts(query),
        )
    for more in ("", ", queries => 'questions'"):
        [measured] = run(
            connection, f"SELECT * FROM colbert.measure_recall('documents', sample => 3{more})"
        )
        assert measured[0] == 3
        assert measured[1] >= 0.9
        tried = run(connection, f"SELECT * FROM colbert.tune('documents', sample => 2{more})")
        assert any(row[-1] for row in tried)


@pytest.mark.parametrize("triggers", ["true", "false"])
def test_upsert_stores_the_signs_of_vectors(
    connection: psycopg.Connection, drawn: tuple[dict[int, Matrix], Matrix], triggers: str
) -> None:
    documents, query = drawn
    run(connection, f"CREATE TABLE documents (id bigint PRIMARY KEY, embeddings bit({BITS})[])")
    create_index(connection, "documents", f""", options => '{{"triggers": {triggers}}}'""")
    for key in (1, 2, 3):
        for document in (documents[key + 10], documents[key]):
            run(
                connection,
                "SELECT colbert.upsert('documents', %s, %s::text[]::vector[])",
                key,
                texts(document),
            )
    stored = run(connection, "SELECT embeddings::text[] FROM documents ORDER BY id")
    assert stored == [(literals(documents[key]),) for key in (1, 2, 3)]
    assert problems(connection) == []
    kept = {key: documents[key] for key in (1, 2, 3)}
    assert search(connection, query) == [
        (k, pytest.approx(s)) for k, s in bit_ranking(query, kept, 3)
    ]


def test_workers_store_the_signs_of_what_they_encode(connection: psycopg.Connection) -> None:
    run(connection, "CREATE TABLE documents (id int PRIMARY KEY, body text, embeddings bit(2)[])")
    create_index(connection, "documents", """, options => '{"text": "body"}'""")
    run(connection, "INSERT INTO documents VALUES (1, 'a text')")
    claimed = run(connection, "SELECT doc_id FROM colbert.claim_pending('documents')")
    assert claimed == [("1",)]
    run(
        connection,
        """SELECT colbert.store_encoded('documents', '1', 'a text', '{"[0.6,-0.8]"}')""",
    )
    assert run(connection, "SELECT embeddings::text FROM documents") == [("{10}",)]
    assert problems(connection) == []


def test_floats_beside_bits_rerank_what_bits_have_found(
    connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    documents, queries = clustered_documents(rng, 500, 64)
    create_table(connection, documents, 64)
    create_index(connection, "documents")
    run(connection, "SELECT colbert.create_index('documents', 'floats', 'exact')")
    found, bits_alone = 0, 0
    for query in queries:
        expected = {key for key, _ in ranking(query, documents, 10)}
        reranked = run(
            connection,
            """
            SELECT r.doc_id, r.score
              FROM (SELECT %(query)s::text[]::vector[] AS query) AS q
             CROSS JOIN LATERAL colbert.rerank(
                   'documents', q.query,
                   ARRAY(SELECT doc_id FROM colbert.search('documents', q.query, k => 50,
                                                           embeddings => 'embeddings')),
                   k => 10, embeddings => 'floats') AS r
            """.replace("%(query)s", "%s"),
            texts(query),
        )
        scores = dict(ranking(query, documents))
        assert [score for _, score in reranked] == sorted(
            (pytest.approx(scores[key], rel=1e-5) for key, _ in reranked),
            key=lambda a: -a.expected,
        )
        found += len(expected & {key for key, _ in reranked})
        first = search(connection, query, ", k => 10, embeddings => 'embeddings'")
        bits_alone += len(expected & {key for key, _ in first})
    assert found >= 95
    assert found > bits_alone
