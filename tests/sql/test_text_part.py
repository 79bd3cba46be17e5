"""The text part of hybrid search on a large table: it ranks a shortlist of what holds the words.

Reading all that matches, as ``exact => true`` does, is the truth.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import psycopg
import pytest

from tests.servers import as_role
from tests.sql.documents import Row, refusal, run

DOCUMENTS = 3000
VECTOR = """'{"[1,0,0]"}'::vector[]"""
QUERIES = ("w0 w3 w40 w200", "w1 w2 w5 w9 w30 w31 w90 w500", "w0 w1 w2", "w7 w700 w1500 nowhere")


def sentences(rng: np.random.Generator, count: int) -> list[str]:
    """Texts of 25 words, of which w0 is the most frequent and w1999 the rarest."""
    share = 1 / np.arange(1, 2001)
    drawn = rng.choice(2000, size=(count, 25), p=share / share.sum())
    return [" ".join(f"w{word}" for word in words) for words in drawn]


def make_documents(
    connection: psycopg.Connection,
    texts: Sequence[str],
    more: str = "",
    index: str = "CREATE INDEX words ON documents USING gin (words)",
) -> None:
    run(
        connection,
        "CREATE TABLE documents (id int PRIMARY KEY, content text, embeddings vector(3)[],"
        " words tsvector GENERATED ALWAYS AS (to_tsvector('simple', content)) STORED,"
        f" tenant name DEFAULT current_user) {more}",
    )
    run(
        connection,
        f"INSERT INTO documents SELECT i, t, {VECTOR}"
        " FROM unnest(%s::text[]) WITH ORDINALITY AS u (t, i)",
        list(texts),
    )
    run(connection, index)
    run(connection, "ANALYZE documents")
    run(connection, "SELECT colbert.create_index('documents', method => 'exact')")


@pytest.fixture
def large(connection: psycopg.Connection, rng: np.random.Generator) -> psycopg.Connection:
    """Table documents with DOCUMENTS texts."""
    make_documents(connection, sentences(rng, DOCUMENTS))
    return connection


@pytest.fixture
def own_large(own_connection: psycopg.Connection, rng: np.random.Generator) -> psycopg.Connection:
    """The same in a database of the test's own, not committed."""
    make_documents(own_connection, sentences(rng, DOCUMENTS))
    return own_connection


def found(
    connection: psycopg.Connection,
    words: str,
    more: str = "",
    content: str = "words",
    k: int = 10,
) -> list[Row]:
    """The text's best documents with their scores."""
    return run(
        connection,
        "SELECT doc_id, text_score FROM colbert.hybrid_search("
        f"'documents', {VECTOR}, %s, text_weight => 1, candidates => {k}, k => {k},"
        f" content => %s, language => 'simple'{more}) WHERE text_rank IS NOT NULL"
        " ORDER BY text_rank",
        words,
        content,
    )


def is_as_good(
    connection: psycopg.Connection, words: str, rows: Sequence[Row], more: str = ""
) -> bool:
    """Whether nine of ten documents score about as high as those that exact search finds."""
    truth: dict[int, float] = dict(found(connection, words, f"{more}, exact => true", k=DOCUMENTS))
    if not rows:
        return not truth
    least = sorted(truth.values(), reverse=True)[: len(rows)][-1]
    good = sum(truth.get(key, 0) >= least * 0.98 for key, _ in rows)
    return good >= 0.9 * len(rows)


def fetched(connection: psycopg.Connection, run_it: Callable[[], object]) -> int:
    """How many documents are read through the index on the words, and in scans of the table."""
    statement = (
        "SELECT pg_stat_get_xact_tuples_fetched('documents'::regclass)"
        " + pg_stat_get_xact_tuples_returned('documents'::regclass)"
    )
    ((before,),) = run(connection, statement)
    run_it()
    ((after,),) = run(connection, statement)
    return int(after - before)


def part(
    connection: psycopg.Connection, words: str, *, exact: bool = False, k: int = 10
) -> list[Row]:
    """The text part by itself."""
    return run(
        connection,
        "SELECT doc_id, score FROM colbert._text_part(colbert._find_index('documents'), %s,"
        " NULL::int, 'words', 'simple', 'any', NULL, NULL, 'public', %s, %s)",
        words,
        k,
        exact,
    )


# What it finds


@pytest.mark.parametrize("words", QUERIES)
@pytest.mark.parametrize("k", [1, 10, 50])
def test_the_best_are_those_that_reading_everything_finds(
    large: psycopg.Connection, words: str, k: int
) -> None:
    rows = found(large, words, k=k)
    assert len(rows) == k
    assert is_as_good(large, words, rows)
    assert rows == sorted(rows, key=lambda row: (-row[1], row[0]))


def test_scores_differ_from_exact_ones_by_the_estimated_weights_alone(
    large: psycopg.Connection,
) -> None:
    exact: dict[int, float] = dict(found(large, QUERIES[0], ", exact => true", k=DOCUMENTS))
    for key, estimated in found(large, QUERIES[0]):
        assert estimated == pytest.approx(exact[key], rel=0.1)


def test_it_reads_a_part_of_what_holds_any_of_the_words(large: psycopg.Connection) -> None:
    some = fetched(large, lambda: part(large, QUERIES[0]))
    everything = fetched(large, lambda: part(large, QUERIES[0], exact=True))
    assert everything > 2000
    assert some < everything / 4


def test_effort_makes_it_read_more(large: psycopg.Connection) -> None:
    usual = fetched(large, lambda: part(large, QUERIES[1]))
    run(large, "SET LOCAL colbert.effort = 4")
    assert fetched(large, lambda: part(large, QUERIES[1])) > 1.5 * usual


@pytest.mark.parametrize("words", ["w1500 w1600", "w1900", "nowhere", "", "w0"])
def test_few_matches_and_single_words_have_exact_scores(
    large: psycopg.Connection, words: str
) -> None:
    assert found(large, words) == found(large, words, ", exact => true")


def test_a_small_table_has_exact_scores(
    connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    make_documents(connection, sentences(rng, 500))
    for words in QUERIES:
        assert found(connection, words) == found(connection, words, ", exact => true")


def test_websearch_has_exact_scores(large: psycopg.Connection) -> None:
    more = ", match => 'websearch'"
    assert found(large, "w0 or w1", more) == found(large, "w0 or w1", f"{more}, exact => true")


def test_without_an_index_on_the_text_everything_is_read(
    connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    make_documents(connection, sentences(rng, DOCUMENTS), index="SELECT")
    assert found(connection, QUERIES[0]) == found(connection, QUERIES[0], ", exact => true")


def test_a_text_with_an_index_on_its_tsvector_has_a_shortlist(
    connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    index = "CREATE INDEX words ON documents USING gin (to_tsvector('simple', content))"
    make_documents(connection, sentences(rng, DOCUMENTS), index=index)
    rows = found(connection, QUERIES[0], content="content")
    assert is_as_good(connection, QUERIES[0], rows)
    assert rows != found(connection, QUERIES[0], ", exact => true", content="content")


def test_before_the_first_analyze_words_are_counted(
    connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    make_documents(connection, sentences(rng, DOCUMENTS), "WITH (autovacuum_enabled = off)")
    run(connection, "DELETE FROM pg_statistic WHERE starelid = 'documents'::regclass")
    for words in QUERIES:
        assert is_as_good(connection, words, found(connection, words))


def test_partitions_have_one_shortlist(
    connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    make_documents(
        connection,
        sentences(rng, DOCUMENTS),
        "PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF documents FOR VALUES FROM (0) TO (2000);"
        "CREATE TABLE high PARTITION OF documents DEFAULT",
    )
    run(connection, "ANALYZE low; ANALYZE high")
    for words in QUERIES:
        assert is_as_good(connection, words, found(connection, words))


def test_words_that_are_never_together_are_found_apart(connection: psycopg.Connection) -> None:
    """By their numbers, hundreds of documents should hold both."""
    make_documents(connection, [("even dull" if i % 2 else "odd dull") for i in range(DOCUMENTS)])
    assert len(found(connection, "even odd", k=100)) == 100


def test_words_that_are_always_together_are_not_read_without_end(
    connection: psycopg.Connection,
) -> None:
    """By their numbers, five hundred documents should hold all of them: fourteen thousand do."""
    texts = [("new york city hall" if i % 3 == 0 else f"other {i % 7}") for i in range(42_000)]
    texts[2100] = "new york city hall, new york"
    make_documents(connection, texts)
    words = "new york city hall"
    assert fetched(connection, lambda: part(connection, words, exact=True)) >= 14_000
    assert fetched(connection, lambda: part(connection, words)) < 25_000  # of two shortlists
    assert found(connection, words, k=1)[0][0] == 2101
    assert len(found(connection, words, k=100)) == 100


def test_a_query_as_long_as_a_document_is_no_trouble(large: psycopg.Connection) -> None:
    words = " ".join(f"w{i}" for i in range(0, 300, 2))
    rows = found(large, words)
    assert len(rows) == 10


# What limits it


@pytest.mark.parametrize(
    ("filter_", "step"),
    [("mod(id, 2) = 0", 2), ("mod(id, 10) = 0", 10), ("mod(id, 1000) = 0", 1000)],
)
def test_a_filter_limits_what_is_ranked(large: psycopg.Connection, filter_: str, step: int) -> None:
    more = f", filter => '{filter_}'"
    for words in QUERIES:
        rows = found(large, words, more)
        assert all(key % step == 0 for key, _ in rows)
        assert is_as_good(large, words, rows, more)
        assert len(rows) == len(found(large, words, f"{more}, exact => true"))


def test_a_filter_takes_its_params_and_its_comments(large: psycopg.Connection) -> None:
    more = (
        """, filter => 'id <= (params->>''last'')::int -- not more', params => '{"last": 1500}'"""
    )
    rows = found(large, QUERIES[0], more)
    assert len(rows) == 10
    assert max(key for key, _ in rows) <= 1500


def test_a_filter_that_nothing_meets_finds_nothing(large: psycopg.Connection) -> None:
    for filter_ in ("false", "id < 0", "id = 1 AND id = 2"):
        assert found(large, QUERIES[0], f", filter => '{filter_}'") == []


def test_row_level_security_holds_and_estimates_tell_nothing(
    own_connection: psycopg.Connection,
    database: str,
    new_role: Callable[[], str],
    rng: np.random.Generator,
) -> None:
    reader = new_role()
    texts = sentences(rng, DOCUMENTS)
    make_documents(own_connection, texts)
    run(
        own_connection,
        f"UPDATE documents SET tenant = '{reader}' WHERE id <= 1500;"
        "ALTER TABLE documents ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON documents USING (tenant = current_user);"
        f"GRANT SELECT ON documents TO {reader}",
    )
    own_connection.commit()

    def answers() -> list[list[Row]]:
        with psycopg.connect(as_role(database, reader)) as session:
            filters = ("", ", filter => 'mod(id, 2) = 0'")
            return [found(session, w, more, k=100) for w in QUERIES for more in filters]

    with_others = answers()
    assert all(key <= 1500 for rows in with_others for key, _ in rows)
    run(own_connection, "UPDATE documents SET content = 'w0 w3 w40 w200' WHERE id > 1500")
    run(own_connection, "ANALYZE documents")
    own_connection.commit()
    assert answers() == with_others
    run(own_connection, "DELETE FROM documents WHERE id > 1500")
    run(own_connection, "ANALYZE documents")
    own_connection.commit()
    assert answers() == with_others


def test_without_a_right_to_the_text_nothing_is_told(
    own_large: psycopg.Connection, database: str, new_role: Callable[[], str]
) -> None:
    reader = new_role()
    run(own_large, f"GRANT SELECT (id, embeddings, content) ON documents TO {reader}")
    own_large.commit()
    helpers = (
        "SELECT colbert._planned_rows(ARRAY['(SELECT FROM documents WHERE words @@ ''w0'')'],"
        " NULL, 'public')",
        "SELECT colbert._count_holders("
        "'(SELECT ctid AS place FROM documents WHERE words @@ ''w0'')', NULL, 'public', 9, true)",
    )
    with psycopg.connect(as_role(database, reader)) as session:
        words = f"'documents', {VECTOR}, 'w0 w3 w40', content => 'words', language => 'simple'"
        for statement in (*helpers, f"SELECT colbert.hybrid_search({words})"):
            assert refusal(session, statement).sqlstate == "42501"


def test_it_reads_only(own_large: psycopg.Connection) -> None:
    own_large.commit()
    run(own_large, "SET TRANSACTION READ ONLY")
    assert len(found(own_large, QUERIES[0])) == 10


@pytest.mark.parametrize(
    "odd", ["it's", "a\\b", "'; DROP TABLE documents; --", "%s %1$s", "$3", "x & (y | !z):*"]
)
def test_words_are_only_ever_words(large: psycopg.Connection, odd: str) -> None:
    run(large, "UPDATE documents SET content = content || ' ' || %s WHERE id %% 3 = 0", odd)
    run(large, "ANALYZE documents")
    rows = found(large, f"w0 w1 {odd}")
    assert len(rows) == 10
    assert is_as_good(large, f"w0 w1 {odd}", rows)


def test_a_lexeme_of_odd_letters_is_looked_up_as_it_is(connection: psycopg.Connection) -> None:
    odd = "it's %s \\ \" & | ! ( ) : *"
    run(
        connection,
        "CREATE TABLE documents (id int PRIMARY KEY, embeddings vector(3)[], words tsvector)",
    )
    run(
        connection,
        f"INSERT INTO documents SELECT i, {VECTOR}, array_to_tsvector(CASE WHEN i %% 2 = 0"
        " THEN ARRAY['a', %s] ELSE ARRAY['a', 'b'] END) FROM generate_series(1, 2000) AS i",
        odd,
    )
    run(connection, "CREATE INDEX ON documents USING gin (words)")
    run(
        connection, "ANALYZE documents; SELECT colbert.create_index('documents', method => 'exact')"
    )
    counts = run(
        connection,
        "SELECT counts FROM colbert._word_counts(colbert._find_index('documents'), '(words)',"
        " ARRAY[colbert._lexeme_query(%s), 'b', 'nowhere'], NULL, NULL, 'public')",
        odd,
    )
    assert counts == [([pytest.approx(1000, rel=0.1), pytest.approx(1000, rel=0.1), 0],)]


# The shortlist itself


def test_a_shortlist_holds_what_weighs_enough_and_nothing_else(
    connection: psycopg.Connection, rng: np.random.Generator
) -> None:
    """Whatever lexemes a document holds: it is on the list as its weight and rarest one say."""
    for _ in range(25):
        number = int(rng.integers(2, 8))
        counts = np.sort(rng.integers(1, 100_000, size=number)).astype(float)
        weights = np.log(1 + (100_000 - counts + 0.5) / (counts + 0.5))
        names = [f"l{i}" for i in range(number)]
        matches, steps = float(rng.integers(10, 5000)), float(rng.integers(1, 150_000))
        ((query,),) = run(
            connection,
            "SELECT colbert._shortlist_query("
            " %s::tsquery[], %s::float8[], %s::float8[], 1e5, %s, %s)::text",
            names,
            list(weights),
            list(counts),
            matches,
            steps,
        )
        if query is None:
            continue
        taking_part = range(min(6, number))
        held = [kept for n in taking_part for kept in itertools.combinations(taking_part, n + 1)]
        rows = run(
            connection,
            "SELECT array_to_tsvector(string_to_array(t, ' ')) @@ %s::tsquery"
            " FROM unnest(%s::text[]) WITH ORDINALITY AS u (t, i) ORDER BY i",
            query,
            [" ".join(names[i] for i in kept) for kept in held],
        )
        listed = [kept for kept, (match,) in zip(held, rows, strict=True) if match]
        walked = max(1, sum(np.cumsum(counts)[i] <= steps for i in taking_part))
        bound = min(sum(weights[i] for i in kept) for kept in listed)
        expected = [
            kept
            for kept in held
            if kept[0] < walked and sum(weights[i] for i in kept) >= bound - 1e-9
        ]
        assert listed == expected


def test_a_shortlist_is_about_as_long_as_it_is_asked_to_be(connection: psycopg.Connection) -> None:
    """Of documents whose words say nothing of each other."""
    rng = np.random.default_rng(7)
    counts = [300.0, 900.0, 2500.0, 6000.0, 9000.0]
    held = rng.random((20_000, 5)) < np.array(counts) / 20_000
    texts = [" ".join(f"l{i}" for i in range(5) if row[i]) for row in held]
    weights = [math.log(1 + (20_000 - n + 0.5) / (n + 0.5)) for n in counts]
    for matches in (50, 200, 1000):
        ((listed,),) = run(
            connection,
            "SELECT count(*) FROM unnest(%s::text[]) AS t"
            " WHERE array_to_tsvector(string_to_array(t, ' ')) @@ colbert._shortlist_query("
            " '{l0, l1, l2, l3, l4}'::tsquery[], %s::float8[], %s::float8[], 20000, %s, 1e6)",
            texts,
            weights,
            counts,
            matches,
        )
        assert matches / 6 < listed <= 1.2 * matches
