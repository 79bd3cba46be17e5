"""maxsim and maxsim_matches: right, and the same to the last bit in every form."""

import numpy as np
import psycopg
import pytest

from tests.sql.documents import (
    Matrix,
    create_index,
    create_table,
    halved,
    hint,
    insert,
    maxsim,
    primary,
    ranking,
    refusal,
    run,
    search,
    texts,
    unit,
    unit_documents,
)


def scored(
    connection: psycopg.Connection,
    query: Matrix,
    document: Matrix,
    types: tuple[str, str] = ("vector", "vector"),
) -> float:
    statement = "SELECT colbert.maxsim(%s::text[]::{}[], %s::text[]::{}[])".format(*types)
    [[score]] = run(connection, statement, texts(query), texts(document))
    return float(score)


@pytest.mark.parametrize("tokens", [1, 15, 16, 17, 32, 33, 1024, 2000])
def test_score_is_that_of_numpy_for_any_number_of_query_tokens(
    connection: psycopg.Connection, rng: np.random.Generator, tokens: int
) -> None:
    query, document = unit(rng, tokens, 8), unit(rng, 7, 8)
    assert scored(connection, query, document) == pytest.approx(maxsim(query, document), rel=1e-6)


@pytest.mark.parametrize(
    ("tokens", "dimensions"), [(0, 3), (1, 3), (8192, 4), (3, 1), (50, 128), (3, 2000)]
)
def test_score_is_that_of_numpy_for_any_size_of_document(
    connection: psycopg.Connection, rng: np.random.Generator, tokens: int, dimensions: int
) -> None:
    query, document = unit(rng, 3, dimensions), unit(rng, tokens, dimensions)
    assert scored(connection, query, document) == pytest.approx(maxsim(query, document), rel=1e-6)


@pytest.mark.parametrize("dimensions", [3, 128, 4000, 16000])
def test_halfvec_score_is_that_of_numpy_on_half_precision(
    connection: psycopg.Connection, rng: np.random.Generator, dimensions: int
) -> None:
    query, document = unit(rng, 3, dimensions), unit(rng, 5, dimensions)
    expected = maxsim(halved(query), halved(document))
    score = scored(connection, query, document, ("halfvec", "halfvec"))
    assert score == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("types", [("vector", "halfvec"), ("halfvec", "vector")])
def test_mixed_arrays_are_scored_in_half_precision(
    connection: psycopg.Connection, rng: np.random.Generator, types: tuple[str, str]
) -> None:
    query, document = unit(rng, 5, 8), unit(rng, 7, 8)
    both = scored(connection, query, document, ("halfvec", "halfvec"))
    assert scored(connection, query, document, types) == both


def test_lower_bounds_of_arrays_change_nothing(connection: psycopg.Connection) -> None:
    query = """'[5:6]={"[1,0]","[0,1]"}'::vector[]"""
    document = """'[-3:-1]={"[0,-1]","[0.6,0.8]","[1,0]"}'::vector[]"""
    [[score]] = run(connection, f"SELECT colbert.maxsim({query}, {document})")
    assert score == pytest.approx(1.8)
    assert run(
        connection,
        "SELECT query_position, document_position, similarity::text "
        f"FROM colbert.maxsim_matches({query}, {document})",
    ) == [(1, 3, "1"), (2, 2, "0.800000011920929")]


@pytest.mark.parametrize("arguments", ["NULL, '{\"[1]\"}'", "'{\"[1]\"}', NULL"])
@pytest.mark.parametrize("element", ["vector", "halfvec"])
def test_a_null_array_gives_null_and_no_matches(
    connection: psycopg.Connection, arguments: str, element: str
) -> None:
    first, second = (f"{argument}::{element}[]" for argument in arguments.split(", "))
    assert run(connection, f"SELECT colbert.maxsim({first}, {second})") == [(None,)]
    assert run(connection, f"SELECT * FROM colbert.maxsim_matches({first}, {second})") == []


@pytest.mark.parametrize(
    ("query", "document", "sqlstate", "message", "advice"),
    [
        ("{}", '{"[1]"}', "22023", "query has no tokens", "one vector for each query token"),
        ('{"[1]",NULL}', '{"[1]"}', "22004", "query token 2 is NULL", "Leave the token out"),
        ('{"[1]"}', "[4:5]={NULL,NULL}", "22004", "document token 1 is NULL", "Leave the token"),
        ('{{"[1]"},{"[1]"}}', '{"[1]"}', "2202E", "query is an array of 2 dimensions", "one-dim"),
        ('{"[1]"}', '{{"[1]"}}', "2202E", "document is an array of 2 dimensions", "one-dim"),
        ('{"[1]"}', '{"[1,2]"}', "22000", "different", ""),
    ],
)
def test_what_cannot_be_scored_is_refused(
    connection: psycopg.Connection,
    query: str,
    document: str,
    sqlstate: str,
    message: str,
    advice: str,
) -> None:
    for function in ("maxsim", "maxsim_matches"):
        for element in ("vector", "halfvec"):
            statement = f"SELECT colbert.{function}(%s::{element}[], %s::{element}[])"
            error = refusal(connection, statement, query, document)
            assert error.sqlstate == sqlstate
            assert message in primary(error)
            assert advice in hint(error)


@pytest.mark.parametrize("element", ["vector", "halfvec"])
def test_matches_name_the_best_document_tokens_and_sum_to_the_score(
    connection: psycopg.Connection, rng: np.random.Generator, element: str
) -> None:
    query, document = unit(rng, 20, 8), unit(rng, 9, 8)
    rows = run(
        connection,
        f"SELECT * FROM colbert.maxsim_matches(%s::text[]::{element}[], %s::text[]::{element}[])",
        texts(query),
        texts(document),
    )
    products = halved(query) @ halved(document).T if element == "halfvec" else query @ document.T
    assert [row[:2] for row in rows] == [
        (i + 1, best + 1) for i, best in enumerate(products.argmax(axis=1).tolist())
    ]
    assert sum(row[2] for row in rows) == pytest.approx(
        scored(connection, query, document, (element, element)), rel=1e-12
    )


def test_of_equal_similarities_the_first_document_token_is_named(
    connection: psycopg.Connection,
) -> None:
    assert run(
        connection,
        """SELECT * FROM colbert.maxsim_matches('{"[1,0]"}'::vector[],
                                                '{"[0,1]","[1,0]","[1,0]"}'::vector[])""",
    ) == [(1, 2, 1.0)]


def make_it_look_large(connection: psycopg.Connection) -> None:
    """Let the planner's statistics say that table documents is worth parallel workers."""
    run(
        connection,
        "UPDATE pg_class SET reltuples = 5000 WHERE oid = 'documents'::regclass",
    )


@pytest.mark.parametrize("tokens", [4, 101])
def test_a_pass_over_many_documents_runs_in_parallel_workers(
    own_connection: psycopg.Connection,
    rng: np.random.Generator,
    server_version_num: int,
    tokens: int,
) -> None:
    if server_version_num < 180000:
        pytest.skip("PostgreSQL counts launched workers since 18")
    create_table(own_connection)
    insert(own_connection, unit_documents(rng, 200, 5))
    create_index(own_connection, "documents", ", method => 'exact'")
    launched = (
        "SELECT parallel_workers_launched FROM pg_stat_database WHERE datname = current_database()"
    )
    counts = []
    for large in (False, True):
        if large:
            make_it_look_large(own_connection)
        search(own_connection, unit(rng, tokens, 3))
        own_connection.commit()
        run(own_connection, "SELECT pg_stat_force_next_flush()")
        own_connection.commit()
        counts.append(run(own_connection, launched)[0][0])
        own_connection.commit()
    assert counts[1] > counts[0] == 0


@pytest.mark.parametrize("element", ["vector", "halfvec"])
@pytest.mark.parametrize("tokens", [1, 16, 17, 40, 101, 2000])
def test_every_way_to_a_score_gives_the_same_bits(
    connection: psycopg.Connection,
    rng: np.random.Generator,
    element: str,
    tokens: int,
) -> None:
    create_table(connection, embeddings=f"{element}(8)[]")
    documents, query = unit_documents(rng, 20, 5, 8), unit(rng, tokens, 8)
    insert(connection, documents)
    create_index(connection)
    run(connection, "SET max_parallel_workers_per_gather = 0")
    by_search = search(connection, query, ", k => 20")
    run(connection, "SET max_parallel_workers_per_gather = 2")
    assert search(connection, query, ", k => 20") == by_search
    make_it_look_large(connection)
    assert search(connection, query, ", k => 20, exact => true") == by_search
    assert search(connection, query, ", k => 20, filter => 'true'") == by_search
    assert by_search == run(
        connection,
        "SELECT * FROM colbert.rerank('documents', %s::text[]::vector[], %s::bigint[])",
        texts(query),
        list(documents),
    )
    assert by_search == run(
        connection,
        f"SELECT id, colbert.maxsim(%s::text[]::{element}[], embeddings) AS score "
        "FROM documents ORDER BY score DESC, id",
        texts(query),
    )
    assert by_search == run(
        connection,
        "SELECT id, colbert.maxsim(%s::text[]::vector[], id) AS score "
        "FROM documents ORDER BY score DESC, id",
        texts(query),
    )


@pytest.mark.parametrize("element", ["vector", "halfvec", "bit"])
@pytest.mark.parametrize("tokens", [100, 101])
@pytest.mark.parametrize("workers", [0, 2])
def test_long_queries_have_weights_and_lower_bounds_like_short_ones(
    connection: psycopg.Connection,
    rng: np.random.Generator,
    element: str,
    tokens: int,
    workers: int,
) -> None:
    documents, query = unit_documents(rng, 20, 5, 8), unit(rng, tokens, 8)
    create_table(connection, embeddings=f"{element}(8)[]")
    for key, document in documents.items():
        array = "colbert.binary_quantize(v)" if element == "bit" else f"v::{element}[]"
        run(
            connection,
            f"INSERT INTO documents SELECT %s, {array} FROM (SELECT %s::text[]::vector[]) AS a (v)",
            key,
            texts(document),
        )
    create_index(connection, "documents", ", method => 'exact'")
    make_it_look_large(connection)
    run(connection, f"SET max_parallel_workers_per_gather = {workers}")
    weights = rng.choice(np.array([0.5, 1, 3], dtype=np.float32), size=(tokens, 1))
    vectors = ",".join(f'"{vector}"' for vector in texts(query * weights))
    rows = run(
        connection,
        "SELECT * FROM colbert.search('documents', %s::text::vector[], k => 20)",
        f"[3:{tokens + 2}]={{{vectors}}}",
    )
    assert len(rows) == 20
    for key, score in rows:
        if element == "bit":
            similarities = ((query > 0)[:, None] == (documents[key] > 0)[None]).mean(axis=2)
        else:
            similarities = query @ documents[key].T
        expected = float(similarities.max(axis=1) @ weights[:, 0])
        assert score == pytest.approx(expected, rel=1e-3)


def test_few_candidates_are_scored_with_the_same_bits_as_all_documents(
    connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    create_table(connection, embeddings="vector(8)[]")
    documents, query = unit_documents(rng, 60, 5, 8), unit(rng, 18, 8)
    insert(connection, documents)
    create_index(connection)
    every: dict[int, float] = dict(search(connection, query, ", k => 60, exact => true"))
    few = search(connection, query, ", k => 3, candidates => 10")
    assert few == [(key, every[key]) for key, _ in ranking(query, documents, 3)]


class TestByKey:
    """maxsim and maxsim_matches of a stored document."""

    @pytest.fixture
    def query(self) -> str:
        return """'{"[1,0,0]","[0,1,0]"}'::vector[]"""

    @pytest.mark.parametrize(
        ("key", "score"), [(1, 2.0), (2, 1.0), (3, 0.0), (5, None), (99, None)]
    )
    def test_score_of_a_stored_document_with_and_without_naming_the_table(
        self, documents: psycopg.Connection, query: str, key: int, score: float | None
    ) -> None:
        for more in ("", ", 'documents'", ", embeddings => 'embeddings'"):
            assert run(documents, f"SELECT colbert.maxsim({query}, {key}{more})") == [(score,)]

    def test_an_empty_document_scores_zero_by_key_as_by_array(
        self, documents: psycopg.Connection, query: str
    ) -> None:
        by_array = f"SELECT colbert.maxsim({query}, embeddings) FROM documents WHERE id = 4"
        assert run(documents, by_array) == [(0.0,)]
        assert run(documents, f"SELECT colbert.maxsim({query}, 4)") == [(0.0,)]

    def test_matches_of_a_stored_document(self, documents: psycopg.Connection, query: str) -> None:
        assert run(documents, f"SELECT * FROM colbert.maxsim_matches({query}, 1)") == [
            (1, 1, 1.0),
            (2, 2, 1.0),
        ]
        assert run(documents, f"SELECT * FROM colbert.maxsim_matches({query}, 5)") == []

    def test_without_an_index_it_is_refused(self, connection: psycopg.Connection) -> None:
        error = refusal(connection, "SELECT colbert.maxsim('{\"[1]\"}'::vector[], 1)")
        assert error.sqlstate == "42704"
        assert "no table has a late-interaction index" in primary(error)
        assert "colbert.create_index" in hint(error)

    def test_with_two_tables_indexed_the_table_has_to_be_named(
        self, documents: psycopg.Connection, query: str
    ) -> None:
        create_table(documents, "notes")
        create_index(documents, "notes")
        error = refusal(documents, f"SELECT colbert.maxsim({query}, 1)")
        assert error.sqlstate == "42P08"
        assert "2 late-interaction indexes could be meant" in primary(error)
        assert "source =>" in hint(error)
        assert run(documents, f"SELECT colbert.maxsim({query}, 1, 'documents')") == [(2.0,)]

    def test_the_query_is_checked(self, documents: psycopg.Connection) -> None:
        error = refusal(documents, "SELECT colbert.maxsim('{\"[1,0]\"}'::vector[], 1)")
        assert error.sqlstate == "22000"
        assert "query: token 1 has 2 dimensions, expected 3" in primary(error)
