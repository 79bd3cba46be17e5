"""Names in SQL, and the statements of migrations: text with the values in it, to be run or kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

#: Clears away what is left of indexes on tables that were dropped.
FORGET_DROPPED = "SELECT colbert._forget_dropped_sources()"


def sql_name(table: str, schema: str | None = None) -> str:
    """A table's name as SQL writes it."""
    return sql.Identifier(*([schema] if schema else []), table).as_string(None)


def quoted(*names: str) -> sql.SQL:
    """An identifier in a statement that has parameters, where a percent sign must be doubled."""
    return verbatim(sql.Identifier(*names).as_string(None))


def verbatim(text: str) -> sql.SQL:
    """SQL as it is, in a statement that has parameters."""
    return sql.SQL(text.replace("%", "%%"))


def create_index(
    source: str,
    embeddings: str,
    *,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    key: str | None = None,
    concurrently: bool = False,
) -> str:
    """``colbert.create_index``; the source is named as SQL writes it.

    ``concurrently`` it is ``CALL colbert.create_index_concurrently``, which commits as it goes.
    """
    return _call(
        "CALL" if concurrently else "SELECT",
        "create_index_concurrently" if concurrently else "create_index",
        source=source,
        embeddings=embeddings,
        method=method,
        options=None if options is None else Jsonb(dict(options)),
        key=key,
    )


def drop_index(source: str, embeddings: str) -> str:
    """``colbert.drop_index``; the source is named as SQL writes it."""
    return _call("SELECT", "drop_index", source=source, embeddings=embeddings)


def _call(verb: str, function: str, **arguments: Any) -> str:
    given = sql.SQL(", ").join(
        sql.SQL("{} => {}").format(sql.Identifier(name), sql.Literal(value))
        for name, value in arguments.items()
        if value is not None
    )
    statement = sql.SQL("{} colbert.{}({})")
    return statement.format(sql.SQL(verb), sql.Identifier(function), given).as_string(None)
