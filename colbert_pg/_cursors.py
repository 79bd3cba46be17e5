"""Cursors on a caller's connection: tuples and JSON, whatever that connection makes of them.

Django, for one, has psycopg return jsonb as text. What is registered stays with the cursor.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.rows import TupleRow, tuple_row
from psycopg.types.json import set_json_loads


def own_cursor(connection: psycopg.Connection[Any]) -> psycopg.Cursor[TupleRow]:
    """A cursor for statements of ours."""
    cursor = psycopg.Cursor(connection, row_factory=tuple_row)
    set_json_loads(json.loads, cursor)
    return cursor


def own_async_cursor(connection: psycopg.AsyncConnection[Any]) -> psycopg.AsyncCursor[TupleRow]:
    """:func:`own_cursor` on an asynchronous connection."""
    cursor = psycopg.AsyncCursor(connection, row_factory=tuple_row)
    set_json_loads(json.loads, cursor)
    return cursor


def rows(
    connection: psycopg.Connection[Any],
    statement: Any,
    parameters: Mapping[str, Any] | Sequence[Any] | None = None,
) -> list[TupleRow]:
    """All rows of a statement of ours."""
    with own_cursor(connection) as cursor:
        return cursor.execute(statement, parameters).fetchall()
