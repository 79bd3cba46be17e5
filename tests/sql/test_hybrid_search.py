"""Hybrid search: MaxSim and full text fused by reciprocal rank, and what limits them."""

import math
from collections.abc import Callable

import psycopg
import pytest

from tests.servers import as_role
from tests.sql.documents import (
    AB,
    A,
    B,
    C,
    Row,
    hint,
    insert,
    primary,
    refusal,
    run,
    texts,
)

QUERY = """'{"[1,0,0]","[0,0.6,0.8]"}'::vector[]"""
CONTENTS = {
    1: ("the red house by the sea", AB),
    2: ("a red, red, red rose", B),
    3: ("an orchid in the house", C),
    4: ("the sea was calm", None),  # not encoded yet
    5: ("red sea", A[:0]),
    6: ("nothing in common", A),
}


@pytest.fixture
def hybrid(connection: psycopg.Connection) -> psycopg.Connection:
    """Table documents with the six CONTENTS, a tsvector of its own, and a column lang."""
    make_documents(connection)
    return connection


@pytest.fixture
def own_hybrid(own_connection: psycopg.Connection) -> psycopg.Connection:
    """The same in a database of the test's own, not committed."""
    make_documents(own_connection)
    return own_connection


def make_documents(
    connection: psycopg.Connection, key: str = "bigint", method: str = "hnsw"
) -> None:
    run(
        connection,
        f"CREATE TABLE documents (id {key} PRIMARY KEY, content text, lang text DEFAULT 'en',"
        " embeddings vector(3)[], words tsvector"
        " GENERATED ALWAYS AS (to_tsvector('english', content)) STORED)",
    )
    for number, (content, document) in CONTENTS.items():
        run(
            connection,
            "INSERT INTO documents (id, content, embeddings) VALUES (%s, %s, %s::text[]::vector[])",
            str(number) if key == "text" else number,
            content,
            None if document is None else texts(document),
        )
    run(connection, f"SELECT colbert.create_index('documents', method => '{method}')")


def hybrid_search(
    connection: psycopg.Connection, words: str, more: str = "", *values: object
) -> list[Row]:
    return run(
        connection,
        f"SELECT * FROM colbert.hybrid_search('documents', {QUERY}, %s,"
        f" language => 'english'{more})",
        words,
        *values,
    )


def fused(row: Row, text_weight: float = 0.5, constant: int = 60) -> float:
    """The score that the ranks of a row make."""
    _, _, maxsim_rank, _, text_rank, _ = row
    score = 0.0
    if maxsim_rank is not None:
        score += (1 - text_weight) / (constant + maxsim_rank)
    if text_rank is not None:
        score += text_weight / (constant + text_rank)
    return score


# Fusion


def test_each_row_has_the_fused_score_and_the_ranks_and_scores_of_both_parts(
    hybrid: psycopg.Connection,
) -> None:
    rows = hybrid_search(hybrid, "red sea")
    by_maxsim = run(hybrid, f"SELECT doc_id, score FROM colbert.search('documents', {QUERY})")

    assert {r[0]: (r[2], r[3]) for r in rows if r[2] is not None} == {
        key: (rank, pytest.approx(score)) for rank, (key, score) in enumerate(by_maxsim, start=1)
    }
    assert {r[0] for r in rows if r[4] is not None} == {1, 2, 4, 5}
    assert [r[1] for r in rows] == pytest.approx([fused(r) for r in rows])
    assert [(-r[1], r[0]) for r in rows] == sorted((-r[1], r[0]) for r in rows)


@pytest.mark.parametrize(("text_weight", "constant"), [(0, 60), (0.25, 60), (1, 60), (0.5, 0)])
def test_weight_and_constant_are_those_of_the_fusion(
    hybrid: psycopg.Connection, text_weight: float, constant: int
) -> None:
    rows = hybrid_search(
        hybrid, "red sea", ", text_weight => %s, constant => %s", text_weight, constant
    )
    assert [r[1] for r in rows] == pytest.approx([fused(r, text_weight, constant) for r in rows])
    order = [r[0] for r in rows]
    if text_weight == 0:
        assert order[:4] == [r[0] for r in sorted(rows, key=lambda r: r[2] or math.inf)][:4]
    if text_weight == 1:
        assert order[:4] == [r[0] for r in sorted(rows, key=lambda r: r[4] or math.inf)][:4]


def test_a_rare_word_counts_more_than_a_frequent_one(hybrid: psycopg.Connection) -> None:
    run(
        hybrid,
        "INSERT INTO documents (id, content) SELECT i, 'red thing' FROM generate_series(10, 40) i",
    )
    rows = hybrid_search(hybrid, "red orchid", ", text_weight => 1")
    assert rows[0][0] == 3


def test_the_text_score_is_ts_rank_weighted_by_rarity(hybrid: psycopg.Connection) -> None:
    (row,) = [r for r in hybrid_search(hybrid, "red sea") if r[0] == 1]
    ((rank,),) = run(
        hybrid, "SELECT ts_rank(words, 'red'::tsquery)::float8 FROM documents WHERE id = 1"
    )
    # four documents are found, three of them by either word
    assert row[5] == pytest.approx(2 * rank * math.log(1 + 1.5 / 3.5))


def test_a_document_that_only_its_text_finds_has_its_exact_maxsim(
    hybrid: psycopg.Connection,
) -> None:
    rows = hybrid_search(hybrid, "orchid", ", k => 1, candidates => 1, text_weight => 1")
    ((score,),) = run(hybrid, f"SELECT colbert.maxsim({QUERY}, 3)")
    assert [(r[0], r[2], r[4]) for r in rows] == [(3, 2, 1)]
    assert rows[0][3] == pytest.approx(score)


def test_documents_without_tokens_are_found_by_their_text(hybrid: psycopg.Connection) -> None:
    rows = {r[0]: r for r in hybrid_search(hybrid, "calm red")}
    for key in (4, 5):
        assert rows[key][2:4] == (None, None)
        assert rows[key][4] is not None


def test_words_that_nothing_has_leave_late_interaction_alone(hybrid: psycopg.Connection) -> None:
    alone = run(hybrid, f"SELECT doc_id, score FROM colbert.search('documents', {QUERY})")
    for words in ("zebra", "the of and", ""):
        rows = hybrid_search(hybrid, words)
        assert [(r[0], r[3]) for r in rows] == alone
        assert {r[4:] for r in rows} == {(None, None)}


def test_ties_come_in_the_order_of_the_keys(hybrid: psycopg.Connection) -> None:
    run(hybrid, "TRUNCATE documents")
    insert(hybrid, dict.fromkeys((7, 3, 9, 1), A))
    run(hybrid, "UPDATE documents SET content = 'red'")
    assert [r[0] for r in hybrid_search(hybrid, "red")] == [1, 3, 7, 9]


# What the text is


@pytest.mark.parametrize(
    "content",
    [
        "content",
        "words",
        "to_tsvector('english', content)",
        "lang || ' ' || content",
        "content::varchar(100)",
        "content -- a comment",
        "setweight(words, 'A')",
        "(SELECT d.content)",
    ],
)
def test_content_is_any_text_or_tsvector_over_the_columns(
    hybrid: psycopg.Connection, content: str
) -> None:
    content = content.replace("(SELECT d.content)", "(SELECT documents.content)")
    rows = hybrid_search(hybrid, "orchid", ", content => %s, text_weight => 1", content)
    assert rows[0][0] == 3
    assert rows[0][4] == 1


@pytest.mark.parametrize(
    ("content", "sqlstate", "complaint"),
    [
        ("id", "42804", "content is of type bigint, neither text nor tsvector"),
        ("body", "42703", 'content: column "body" does not exist'),
        ("NULL::xml", "42804", "content is of type xml, neither text nor tsvector"),
    ],
)
def test_other_content_is_refused_with_a_hint(
    hybrid: psycopg.Connection, content: str, sqlstate: str, complaint: str
) -> None:
    error = refusal(
        hybrid,
        f"SELECT colbert.hybrid_search('documents', {QUERY}, 'red', content => %s)",
        content,
    )
    assert (error.sqlstate, primary(error)) == (sqlstate, complaint)
    assert "content => 'title" in hint(error)


def test_without_content_the_text_of_the_index_is_searched(hybrid: psycopg.Connection) -> None:
    run(hybrid, "ALTER TABLE documents ADD \"the body\" text DEFAULT 'zebra'")
    assert {r[4] for r in hybrid_search(hybrid, "zebra")} == {None}
    run(hybrid, 'UPDATE colbert._index SET options = \'{"text": "the body"}\'')
    assert {r[4] for r in hybrid_search(hybrid, "zebra")} == set(range(1, 7))


def test_language_decides_how_words_are_cut(hybrid: psycopg.Connection) -> None:
    run(hybrid, "UPDATE documents SET content = 'running horses' WHERE id = 3")
    for language, found in (("english", True), ("simple", False)):
        rows = run(
            hybrid,
            f"SELECT text_rank FROM colbert.hybrid_search('documents', {QUERY}, 'run horse',"
            " language => %s::regconfig) WHERE doc_id = 3",
            language,
        )
        assert (rows[0][0] is not None) is found


def test_without_a_language_the_sessions_default_is_used(hybrid: psycopg.Connection) -> None:
    for language, found in (("pg_catalog.english", 1), ("pg_catalog.simple", 0)):
        run(hybrid, f"SET default_text_search_config = '{language}'")
        assert run(
            hybrid,
            f"SELECT count(text_rank) FROM colbert.hybrid_search('documents', {QUERY}, 'orchids')",
        ) == [(found,)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("red sea", {1, 5}),
        ('"red sea"', {5}),
        ("red -sea", {2}),
        ("orchid or rose", {2, 3}),
    ],
)
def test_websearch_takes_the_syntax_of_search_engines(
    hybrid: psycopg.Connection, words: str, found: set[int]
) -> None:
    rows = hybrid_search(hybrid, words, ", match => 'websearch'")
    assert {r[0] for r in rows if r[4] is not None} == found


@pytest.mark.parametrize(
    "words",
    ["it's", "a\\b", "red & | ! ( ) : * <-> 'x' \"y", "'; DROP TABLE documents; --", "%s %1$s"],
)
@pytest.mark.parametrize("match", ["any", "websearch"])
def test_words_are_only_ever_words(hybrid: psycopg.Connection, words: str, match: str) -> None:
    run(hybrid, "UPDATE documents SET content = %s WHERE id = 3", words)
    rows = hybrid_search(hybrid, words, f", match => '{match}', content => 'content'")
    assert len(rows) >= 4


def test_an_index_on_the_text_is_used(hybrid: psycopg.Connection) -> None:
    run(
        hybrid,
        "CREATE INDEX content_words ON documents USING gin (to_tsvector('english', content))",
    )
    run(hybrid, "CREATE INDEX own_words ON documents USING gin (words)")
    run(hybrid, "SET enable_seqscan = off")
    used = (
        "SELECT indexrelname, pg_stat_get_xact_numscans(indexrelid) FROM pg_stat_user_indexes"
        " WHERE indexrelname IN ('content_words', 'own_words') ORDER BY 1"
    )
    hybrid_search(hybrid, "orchid", ", content => 'content'")
    assert run(hybrid, used) == [("content_words", 1), ("own_words", 0)]
    hybrid_search(hybrid, "orchid", ", content => 'words'")
    assert run(hybrid, used) == [("content_words", 1), ("own_words", 1)]


# What is searched


@pytest.mark.parametrize("method", ["exact", "hnsw"])
def test_a_filter_limits_both_parts_and_takes_its_params(
    connection: psycopg.Connection, method: str
) -> None:
    make_documents(connection, method=method)
    run(connection, "UPDATE documents SET lang = 'de' WHERE id IN (1, 4, 6)")
    rows = run(
        connection,
        f"SELECT * FROM colbert.hybrid_search('documents', {QUERY}, 'red sea',"
        " language => 'english', filter => 'lang = params->>''lang''',"
        ' params => \'{"lang": "de"}\')',
    )
    assert {r[0] for r in rows} == {1, 4, 6}
    assert {r[0]: r[2] for r in rows} == {1: 1, 6: 2, 4: None}
    assert {r[0] for r in rows if r[4]} == {1, 4}


def test_k_documents_come_back_where_k_are_found(hybrid: psycopg.Connection) -> None:
    for k in (1, 3, 6, 100):
        assert len(hybrid_search(hybrid, "red sea", f", k => {k}, candidates => 1")) == min(k, 6)


def test_row_level_security_holds_in_both_parts_and_in_the_weights(
    own_connection: psycopg.Connection, database: str, new_role: Callable[[], str]
) -> None:
    reader = new_role()
    make_documents(own_connection)
    run(
        own_connection,
        "INSERT INTO documents (id, content, lang)"
        " SELECT i, 'orchid', 'hidden' FROM generate_series(10, 60) i;"
        "ALTER TABLE documents ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY visible ON documents USING (lang = 'en' AND id <> 1);"
        f"GRANT SELECT ON documents TO {reader}",
    )
    own_connection.commit()
    statement = (
        f"SELECT * FROM colbert.hybrid_search('documents', {QUERY}, 'red orchid sea', k => 100,"
        " language => 'english')"
    )
    with psycopg.connect(as_role(database, reader)) as other:
        seen = run(other, statement)
    run(own_connection, "DELETE FROM documents WHERE lang <> 'en' OR id = 1")
    assert seen == run(own_connection, statement)
    assert {r[0] for r in seen} == {2, 3, 4, 5, 6}


def test_without_a_right_to_the_text_nothing_is_read(
    own_hybrid: psycopg.Connection, database: str, new_role: Callable[[], str]
) -> None:
    reader = new_role()
    run(own_hybrid, f"GRANT SELECT (id, embeddings, words) ON documents TO {reader}")
    own_hybrid.commit()
    statement = f"SELECT count(*) FROM colbert.hybrid_search('documents', {QUERY}, 'red'"
    with psycopg.connect(as_role(database, reader)) as other:
        assert run(other, f"{statement}, content => 'words')")[0][0] > 0
        assert refusal(other, f"{statement})").sqlstate == "42501"


# How it is called


@pytest.mark.parametrize("key", ["text", "uuid"])
def test_other_keys_are_returned_in_the_type_that_key_names(
    connection: psycopg.Connection, key: str
) -> None:
    run(
        connection,
        f"CREATE TABLE documents (id {key} PRIMARY KEY, content text, embeddings vector(3)[])",
    )
    number = "'00000000-0000-0000-0000-00000000000%s'" if key == "uuid" else "'%s'"
    for n, (content, document) in CONTENTS.items():
        run(
            connection,
            f"INSERT INTO documents VALUES ({number % n}, %s, %s::text[]::vector[])",
            content,
            None if document is None else texts(document),
        )
    run(connection, "SELECT colbert.create_index('documents')")
    statement = f"SELECT * FROM colbert.hybrid_search('documents', {QUERY}, 'red sea'"
    rows = run(connection, f"{statement}, key => NULL::{key})")
    assert str(rows[0][0]).endswith("1")
    assert len(rows) == 6
    assert refusal(connection, f"{statement})").sqlstate == "42804"


def test_integer_keys_take_the_form_that_needs_no_key(connection: psycopg.Connection) -> None:
    make_documents(connection, key="integer")
    rows = run(
        connection,
        "SELECT pg_typeof(doc_id)::text"
        f"  FROM colbert.hybrid_search('documents', {QUERY}, 'red', 2)",
    )
    assert rows == [("bigint",), ("bigint",)]


@pytest.mark.parametrize(
    ("more", "sqlstate", "complaint"),
    [
        (", match => 'all'", "22023", 'unknown match "all"'),
        (", text_weight => 1.5", "22023", "text_weight must be between 0 and 1, not 1.5"),
        (", text_weight => 'NaN'", "22023", "text_weight must be between 0 and 1, not NaN"),
        (", text_weight => NULL", "22023", "text_weight must be between 0 and 1, not NULL"),
        (", constant => -1", "22023", "constant must be at least 0, not -1"),
        (", k => 0", "22023", "k must be at least 1, not 0"),
    ],
)
def test_what_cannot_be_fused_is_refused_with_a_hint(
    hybrid: psycopg.Connection, more: str, sqlstate: str, complaint: str
) -> None:
    error = refusal(hybrid, f"SELECT colbert.hybrid_search('documents', {QUERY}, 'red'{more})")
    assert (error.sqlstate, primary(error)) == (sqlstate, complaint)
    assert hint(error)


def test_words_are_asked_for(hybrid: psycopg.Connection) -> None:
    error = refusal(hybrid, f"SELECT colbert.hybrid_search('documents', {QUERY}, NULL)")
    assert (error.sqlstate, primary(error)) == ("22004", "words must not be NULL")
    assert "colbert.search" in hint(error)


def test_content_and_filter_mean_what_they_mean_to_the_caller(hybrid: psycopg.Connection) -> None:
    run(
        hybrid,
        "CREATE SCHEMA own;"
        "CREATE FUNCTION own.shout(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT upper($1)';"
        "CREATE TEXT SEARCH CONFIGURATION own.plain (COPY = pg_catalog.simple);"
        "SET search_path = own, public",
    )
    rows = run(
        hybrid,
        "SELECT doc_id, text_rank"
        f"  FROM colbert.hybrid_search('documents', {QUERY}::public.vector[], 'orchid',"
        " content => 'shout(content)', filter => 'shout(lang) = ''EN''',"
        " language => 'plain', text_weight => 1, k => 1)",
    )
    assert rows == [(3, 1)]
    assert run(hybrid, "SHOW search_path") == [("own, public",)]


def test_it_reads_only(own_hybrid: psycopg.Connection) -> None:
    own_hybrid.commit()
    run(own_hybrid, "SET TRANSACTION READ ONLY")
    assert hybrid_search(own_hybrid, "red")
    (volatility,) = {
        row[0]
        for row in run(
            own_hybrid,
            "SELECT provolatile FROM pg_proc WHERE proname IN ('hybrid_search', '_hybrid_search')",
        )
    }
    assert volatility == "s"
