"""What editors and type checkers know of methods and options.

Each ``type: ignore`` is an error that they find: mypy refuses one that is not needed.
"""

from __future__ import annotations

from typing import Any, get_args

import psycopg
import pytest

from colbert_pg import Client
from colbert_pg.options import Method, Options, WordMatch
from tests.client.words import WordEncoder


def test_a_misspelt_method_or_option_is_an_error_in_editors_and_of_the_server(
    client: Client,
) -> None:
    client.drop_index("documents")
    with pytest.raises(psycopg.Error, match="hnws"), client.connection.transaction():
        client.create_index("documents", method="hnws")  # type: ignore[arg-type]
    with pytest.raises(psycopg.Error, match="nprobes"), client.connection.transaction():
        client.create_index("documents", options={"nprobes": 8})  # type: ignore[arg-type]
    with pytest.raises(psycopg.Error, match="token_type"), client.connection.transaction():
        client.create_index(
            "documents",
            method="hnsw",
            options={"token_type": "float"},  # type: ignore[arg-type]
        )
    client.create_index("documents", method="hnsw", options={"token_type": "bit", "hits": 20})
    with pytest.raises(psycopg.Error, match="match"), client.connection.transaction():
        client.hybrid_search("documents", "cat", match="all")  # type: ignore[arg-type]


def test_the_types_have_the_methods_and_options_of_the_server(
    connection: psycopg.Connection[Any],
) -> None:
    (methods,) = connection.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = 'colbert._index'::regclass AND pg_get_constraintdef(oid) LIKE '%method%'"
    ).fetchone() or ("",)
    assert all(f"'{method}'" in methods for method in get_args(Method))
    assert methods.count("'") == 2 * len([*get_args(Method), "shards"])  # which nobody names
    options: dict[str, Any] = {}
    for method in get_args(Method):
        (types,) = connection.execute("SELECT colbert._option_types(%s)", [method]).fetchone() or (
            {},
        )
        options |= types
    assert set(Options.__annotations__) == set(options)
    assert set(get_args(WordMatch)) == {"any", "websearch"}


def test_an_index_is_built_concurrently_in_autocommit_mode(
    database: str, encoder: WordEncoder
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE documents (id int PRIMARY KEY, content text, embeddings vector(32)[])"
        )
        client = Client(connection, encoder)
        client.create_index("documents", method="ivfflat", concurrently=True)
        client.add("documents", ["a cat", "a dog"], keys=[1, 2])
        client.reindex("documents", concurrently=True)
        assert [hit.doc_id for hit in client.search("documents", "cat", k=1)] == [1]
        assert client.indexes()[0]["method"] == "ivfflat"
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            client.abandon_reindex("documents")
        with connection.transaction(), pytest.raises(ValueError, match="autocommit"):
            client.reindex("documents", concurrently=True)
    with psycopg.connect(database) as connection, pytest.raises(ValueError, match="autocommit"):
        Client(connection).reindex("documents", concurrently=True)


def test_maintain_does_what_is_due(database: str, encoder: WordEncoder) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE documents (id int PRIMARY KEY, content text, embeddings vector(32)[])"
        )
        client = Client(connection, encoder)
        client.create_index("documents")
        client.add("documents", ["a cat"], keys=[1])
        connection.execute("DROP TABLE documents_embeddings_centroids")
        assert client.indexes()[0]["state"] == "broken"
        client.maintain()
        assert client.indexes()[0]["state"] == "ready"
    with psycopg.connect(database) as connection:
        client = Client(connection)
        connection.execute("DROP TABLE documents_embeddings_centroids")
        with pytest.raises(ValueError, match="autocommit"):
            client.maintain()
