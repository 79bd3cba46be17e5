"""Databases that have pgvector and nothing of colbert_pg."""

import psycopg
import pytest


@pytest.fixture
def vector_database(bare_database: str) -> str:
    """Connection string of a database with pgvector in schema public, for a superuser."""
    with psycopg.connect(bare_database) as connection:
        connection.execute("CREATE EXTENSION vector")
    return bare_database
