"""Late interaction in SQLAlchemy 2: :func:`maxsim` and :func:`search` as SQL expressions.

Columns of token vectors are pgvector's types in an array, ``ARRAY(VECTOR(128), dimensions=1)`` or
``ARRAY(HALFVEC(128), dimensions=1)``. Nothing here touches a connection, so that synchronous and
asynchronous sessions are alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
from pgvector.sqlalchemy import HALFVEC, VECTOR
from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Double,
    Enum,
    Integer,
    String,
    Table,
    TableValuedAlias,
    Text,
    TypeDecorator,
    Uuid,
    bindparam,
    cast,
    column,
    func,
    inspect,
    literal,
    literal_column,
    null,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, REGCLASS
from sqlalchemy.orm import Mapper
from sqlalchemy.sql.functions import Function

from colbert_pg._arguments import json_values
from colbert_pg._statements import sql_name
from colbert_pg.vectors import as_matrix

__all__ = ["maxsim", "search"]


def maxsim(query: npt.ArrayLike | ColumnElement[Any], document: Any) -> ColumnElement[float]:
    """The late-interaction score of a document: ``colbert.maxsim``.

    Args:
        query: an array (tokens, dimensions) of unit rows, or a SQL expression of the document's
            type.
        document: a column of token vectors, or any expression of such a type.
    """
    half = isinstance(getattr(document.type, "item_type", None), HALFVEC)
    return func.colbert.maxsim(_vectors(query, half), document, type_=Double())


def search(
    source: type[Any] | Table,
    query: npt.ArrayLike | ColumnElement[Any],
    *,
    k: int = 10,
    filter: str | None = None,
    params: Mapping[str, Any] | None = None,
    candidates: int | None = None,
    exact: bool = False,
    embeddings: str | None = None,
    key: Any = None,
    name: str = "hits",
    min_score: float | None = None,
) -> TableValuedAlias:
    """The ``k`` best documents as a relation to join to: ``colbert.search``.

    Its columns are ``c.doc_id`` and ``c.score``. Keys are of the type of the source's key where
    that is an integer, a uuid or a string, and strings where it is another.

    Args:
        source: a mapped class, or a table.
        query: an array (tokens, dimensions) of unit rows, or a SQL expression of type ``vector[]``.
        k: how many documents.
        filter: a SQL condition over the columns of the source, which limits what is searched. It is
            run as SQL: values that come from elsewhere belong in ``params``.
        params: values for the condition, as ``params->>'name'``.
        candidates: how many documents of the index to score exactly. Default: the server's.
        exact: score every document, without the index.
        embeddings: the array column, where several are indexed.
        key: the index's key, where that is not the primary key: ``Document.slug``.
        name: what the relation is called in the statement.
        min_score: the least that a result scores, as a mean over the query, from -1 to 1: the score
            divided by the sum of the lengths of the query's vectors.

    Raises:
        ValueError: if the source is neither, or has no primary key of one column and no key is
            given.
        TypeError: for text as the query: encode it first.
    """
    table = _table(source)
    key_type = _primary_key(table).type if key is None else key.type
    form = _key_form(key_type)
    arguments = {
        "source": cast(literal(sql_name(table.name, table.schema)), REGCLASS()),
        "query": _vectors(query),
        "key": None if isinstance(_plain(form), Integer) else cast(null(), form),
        "k": literal(k),
        "filter": None if filter is None else literal(filter),
        "params": None if params is None else literal(json_values(params), JSONB()),
        "candidates": None if candidates is None else literal(candidates),
        "exact": literal(exact),
        "embeddings": None if embeddings is None else literal(embeddings),
        "min_score": None if min_score is None else literal(min_score, Double()),
    }
    call: Function[Any] = func.colbert.search(
        *(
            literal_column(argument).op("=>")(value)
            for argument, value in arguments.items()
            if value is not None
        )
    )
    doc_id: ColumnClause[Any] = column("doc_id", form)
    return call.table_valued(doc_id, column("score", Double()), name=name)


def _key_form(key_type: Any) -> Any:
    """The type in which keys are returned: their own, or text where there is no form for it."""
    plain = _plain(key_type)
    own = isinstance(plain, Integer | Uuid | String) and not isinstance(plain, Enum)
    return key_type if own else Text()


def _plain(type_: Any) -> Any:
    return type_.impl_instance if isinstance(type_, TypeDecorator) else type_


def _vectors(query: Any, half: bool = False) -> Any:
    """A matrix as a bound array of vectors; a SQL expression as it is."""
    if hasattr(query, "__clause_element__") or isinstance(query, ColumnElement):
        return query
    type_: ARRAY[Any] = ARRAY(HALFVEC() if half else VECTOR(), dimensions=1)
    return cast(bindparam(None, list(as_matrix(query)), type_), type_)


def _table(source: type[Any] | Table) -> Table:
    found: Any = inspect(source, raiseerr=False)
    table = found.local_table if isinstance(found, Mapper) else found
    if not isinstance(table, Table):
        raise ValueError(
            f"a mapped class or a table is expected, not {source!r}: search(Document, …)"
        )
    return table


def _primary_key(table: Table) -> ColumnElement[Any]:
    if len(table.primary_key.columns) != 1:
        raise ValueError(
            f"table {table.fullname} has no primary key of one column: "
            "name the index's key, key=Document.slug"
        )
    (found,) = table.primary_key.columns
    return found
