"""SQLAlchemy's expressions as the filter of a search: text whose values are in ``params``.

A filter reaches the server as text. No value is written into it: each bound value becomes a member
of ``params``, which the text casts to the value's type, ``(args.params->>'_1')::DATE``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    BindParameter,
    ColumnClause,
    ColumnElement,
    Enum,
    Numeric,
    SQLColumnExpression,
    String,
    literal_column,
    select,
)
from sqlalchemy import column as bare_column
from sqlalchemy import table as bare_table
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.selectable import SelectBase
from sqlalchemy.sql.visitors import iterate, replacement_traverse
from sqlalchemy.types import NullType

from colbert_pg._arguments import json_values
from colbert_pg.sqlalchemy._sources import Source

_dialect = postgresql.dialect()  # type: ignore[no-untyped-call]


def filter_and_params(
    source: Source,
    filter: str | ColumnElement[bool] | None,
    params: Mapping[str, Any] | None,
    key: ColumnElement[Any],
) -> tuple[str | None, dict[str, Any] | None]:
    """A filter as text, and its values.

    Args:
        filter: text, or an expression over the columns of the source, its alias, or subqueries.
        params: values for a text.
        key: a unique column of the source.

    Raises:
        TypeError: for what is neither, and for a value that JSON cannot hold.
    """
    values = None if params is None else json_values(params)
    if filter is not None and not isinstance(filter, str | ColumnElement):
        filter = getattr(filter, "__clause_element__", lambda: filter)()
        if not isinstance(filter, ColumnElement):
            raise TypeError("a filter is an expression of SQLAlchemy, or SQL as text")
    texts = []
    if isinstance(filter, str):
        texts.append(filter)
    for expression in (None if isinstance(filter, str) else filter, source.limit):
        if expression is not None:
            values = dict(values or {})
            texts.append(_text(source, expression, values, key))
    if len(texts) > 1:  # each on lines of its own: it may end with a comment
        return " AND ".join(f"(\n{text}\n)" for text in texts), values
    return (texts[0] if texts else None), values


def text_of(source: Source, content: str | SQLColumnExpression[Any]) -> str:
    """An expression over the columns of the source as SQL, without values.

    Raises:
        ValueError: for one with values, and for one with other tables.
    """
    if isinstance(content, str):
        return content
    expression: Any = getattr(content, "__clause_element__", lambda: content)()
    values: dict[str, Any] = {}
    if not _speaks_only_of(source, expression):
        raise ValueError("content is an expression over the columns of the source alone")
    text = _compiled(_replaced(source, expression, values, alone=True))
    if values:
        raise ValueError("content has values: write it as text, or with literal_column")
    return text


def _text(
    source: Source, expression: ColumnElement[bool], values: dict[str, Any], key: ColumnElement[Any]
) -> str:
    alone = _speaks_only_of(source, expression)
    found = _replaced(source, expression, values, alone=alone)
    if alone:
        return _compiled(found)
    keys = select(key).select_from(source.table).where(found)
    return f"{_dialect.identifier_preparer.quote(key.name)} IN ({_compiled(keys)})"


def _replaced(
    source: Source, expression: ColumnElement[Any], values: dict[str, Any], *, alone: bool
) -> Any:
    """An expression with its values in ``values``, over the source's own columns.

    Args:
        alone: without the schema of the table, which has none in the statement of a search.
    """
    numbers = itertools.count(1)

    def replaced(element: Any, **_: Any) -> Any:
        if isinstance(element, BindParameter):
            return _places(element, values, numbers)
        if not _is_own(source, element):
            return None
        own = source.table.c[element.key]
        return bare_column(own.name, own.type, _selectable=_bare(source)) if alone else own

    return replacement_traverse(expression, {}, replaced)


def _compiled(element: Any) -> str:
    """As SQL; percent signs are doubled for a driver, and this goes past it."""
    return str(element.compile(dialect=_dialect)).replace("%%", "%")


def _is_own(source: Source, element: Any) -> bool:
    """Whether this is a column of the source, or of its alias."""
    return isinstance(element, ColumnClause) and element.table in _names(source)


def _names(source: Source) -> set[Any]:
    return {source.table} if source.alias is None else {source.table, source.alias}


def _bare(source: Source) -> Any:
    return bare_table(source.table.name)


def _speaks_only_of(source: Source, expression: ColumnElement[Any]) -> bool:
    """Whether an expression can stand in the WHERE of the source as it is."""
    return not any(
        isinstance(element, SelectBase)
        or (
            isinstance(element, ColumnClause)
            and element.table is not None
            and not _is_own(source, element)
        )
        for element in iterate(expression)
    )


def _places(parameter: BindParameter[Any], values: dict[str, Any], numbers: Any) -> Any:
    """Where a value stands, or several of ``IN``."""
    type_ = parameter.type
    if not parameter.expanding:
        return literal_column(_place(type_, parameter.effective_value, values, numbers), type_)
    given = [_place(type_, value, values, numbers) for value in parameter.effective_value or ()]
    if not given:
        return literal_column(f"(SELECT NULL{_cast(type_)} WHERE false)", type_)
    return literal_column(f"({', '.join(given)})", type_)


def _place(type_: Any, value: Any, values: dict[str, Any], numbers: Any) -> str:
    name = next(name for n in numbers if (name := f"_{n}") not in values)
    if isinstance(type_, JSON):
        values |= json_values({name: value})
        return f"(args.params->'{name}'){_cast(type_)}"
    processor = type_.dialect_impl(_dialect).bind_processor(_dialect)
    if isinstance(type_, ARRAY) and value is not None:
        values |= json_values({name: list(value)})
        items = f"pg_catalog.jsonb_array_elements_text(args.params->'{name}')"
        return f"(ARRAY(SELECT * FROM {items})){_cast(type_)}"
    if processor is not None:
        value = processor(value)
    if isinstance(value, bytes | bytearray | memoryview):
        value = f"\\x{bytes(value).hex()}"
    values |= json_values({name: value})
    return f"(args.params->>'{name}'){_cast(type_)}"


def _cast(type_: Any) -> str:
    if isinstance(type_, NullType | JSON.JSONStrIndexType):
        return ""
    if isinstance(type_, JSON.JSONIntIndexType):
        return "::INTEGER"
    if isinstance(type_, JSON.JSONPathType):
        return "::TEXT[]"
    if isinstance(type_, String) and not isinstance(type_, Enum) and type_.length is not None:
        return "::VARCHAR"  # a longer value is another one, not to be cut
    if isinstance(type_, Numeric) and type_.precision is not None:
        return "::NUMERIC"  # nor to be rounded
    return f"::{type_.compile(dialect=_dialect)}"
