"""Calls of SQL functions as statements: names quoted, values as parameters of a known type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from psycopg import sql
from psycopg.types.json import Jsonb

from colbert_pg._arguments import json_values
from colbert_pg._statements import verbatim
from colbert_pg.client._operation import Query
from colbert_pg.vectors import TokenArray


class Cast(NamedTuple):
    """A value, and the type to cast it to in SQL: from the catalog, never from a caller."""

    value: Any
    type: str


_TYPES = {
    "source": "pg_catalog.regclass",
    "embeddings": "pg_catalog.name",
    "key": "pg_catalog.name",
    "parent": "pg_catalog.name",
    "method": "pg_catalog.text",
    "filter": "pg_catalog.text",
    "options": "pg_catalog.jsonb",
    "params": "pg_catalog.jsonb",
    "k": "pg_catalog.int4",
    "candidates": "pg_catalog.int4",
    "exact": "pg_catalog.bool",
    "on_shards": "pg_catalog.bool",
    "retrain": "pg_catalog.bool",
    "min_score": "pg_catalog.float8",
    "queries": "pg_catalog.regclass",
    "query_column": "pg_catalog.name",
    "sample": "pg_catalog.int4",
    "target_recall": "pg_catalog.float8",
    "words": "pg_catalog.text",
    "content": "pg_catalog.text",
    "language": "pg_catalog.regconfig",
    "match": "pg_catalog.text",
    "text_weight": "pg_catalog.float8",
    "constant": "pg_catalog.int4",
}


def call(function: str, columns: str = "*", **arguments: Any) -> Query:
    """``SELECT … FROM colbert.function(name => value, …)`` of the arguments that are not None."""
    given = {name: value for name, value in arguments.items() if value is not None}
    return Query(
        sql.SQL("SELECT {} FROM {} AS r").format(sql.SQL(columns), call_sql(function, given)),
        parameters(given),
    )


def procedure(name: str, **arguments: Any) -> Query:
    """``CALL colbert.name(name => value, …)`` of the arguments that are not None."""
    given = {name: value for name, value in arguments.items() if value is not None}
    return Query(sql.SQL("CALL {}").format(call_sql(name, given)), parameters(given), commits=True)


def call_sql(function: str, arguments: Mapping[str, Any]) -> sql.Composed:
    """``colbert.function(name => value, …)``."""
    return sql.SQL("colbert.{}({})").format(
        sql.Identifier(function),
        sql.SQL(", ").join(
            sql.SQL("{} => {}").format(sql.Identifier(name), placeholder(name, value))
            for name, value in arguments.items()
        ),
    )


def parameters(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a call, as psycopg takes them."""
    return {name: _value(value) for name, value in arguments.items()}


def placeholder(name: str, value: Any) -> sql.Composed:
    """The place of a value. One whose type depends on the index comes as a :class:`Cast`."""
    place = sql.Placeholder(name)
    if isinstance(value, TokenArray):
        return sql.Composed([place])  # typed by its own object identifier
    cast = value.type if isinstance(value, Cast) else _TYPES[name]
    return sql.SQL("{}::{}").format(place, verbatim(cast))


def _value(value: Any) -> Any:
    if isinstance(value, Cast):
        return value.value
    return Jsonb(json_values(value)) if isinstance(value, Mapping) else value


# Keys: of integers there is a form of each search of its own, of uuids and of text another.

INTEGERS = ("bigint", "integer", "smallint")


def key_form(key_type: str | None) -> str | None:
    """The type that ``key`` names: uuid, or text for all others; None for integers."""
    if key_type is None or key_type in INTEGERS:
        return None
    return "pg_catalog.uuid" if key_type == "uuid" else "pg_catalog.text"


def key_argument(key_type: str | None) -> Cast | None:
    """``key => NULL::type``; integer keys take the form of a search that needs no key."""
    form = key_form(key_type)
    return None if form is None else Cast(None, form)


def returned_key_sql(column: str, key_type: str | None) -> str:
    """A column of keys in a search's rows; those that come as text become their type again."""
    if key_form(key_type) != "pg_catalog.text":
        return f"r.{column}"
    return f"r.{column}::{key_type} AS {column}".replace("%", "%%")


def ids_type(key_type: str) -> str:
    """The type of the keys that ``rerank`` takes, by way of their own."""
    by_text = key_form(key_type) == "pg_catalog.text"
    return f"{key_type}[]::pg_catalog.text[]" if by_text else f"{key_type}[]"
