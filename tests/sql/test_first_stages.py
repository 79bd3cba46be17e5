"""The recipe of docs/hybrid.md that needs an extension of PostgreSQL's contrib, where that is."""

from pathlib import Path

import psycopg
import pytest

from tests.docs.blocks import blocks
from tests.docs.running import differences, printed
from tests.servers import REPOSITORY

PAGE = REPOSITORY / "docs" / "hybrid.md"


def test_misspelt_words_are_found_by_pg_trgm_and_reranked(database: str, tmp_path: Path) -> None:
    with psycopg.connect(database) as connection:
        available = connection.execute(
            "SELECT FROM pg_available_extensions WHERE name = 'pg_trgm'"
        ).fetchone()
    if available is None:
        pytest.skip("the server has no pg_trgm: it comes with PostgreSQL's contrib")
    setup, recipe = (
        next(block for block in blocks(PAGE, "sql") if word in block.code)
        for word in ("CREATE TABLE documents", "pg_trgm")
    )
    outputs = printed(PAGE, database, tmp_path, [setup, recipe])
    assert differences([setup, recipe], outputs) == {}
