"""A search as a condition of a queryset, and a queryset's conditions as the filter of a search.

A search is one lookup in the queryset's WHERE, ``key IN (SELECT doc_id FROM colbert.search(…))``,
and a score beside it, so that all of a queryset goes on working. When the statement is made, the
queryset's other conditions become the filter of the search: they limit what is searched, in
whichever order they were written. They reach ``colbert.search`` as text in which the driver has
quoted the values, as Django's own statements do on this driver.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import NotSupportedError
from django.db.models import Field, Lookup
from django.db.models.expressions import Col, RawSQL, Ref
from django.db.models.sql import AND, Query
from django.db.models.sql.where import ExtraWhere, WhereNode

from colbert_pg.catalog import INDEX_OF, Index
from colbert_pg.django.encoding import encoder
from colbert_pg.django.expressions import MaxSim, QueryVectors, Vectors
from colbert_pg.encoding import fingerprint_of, same_model
from colbert_pg.errors import ModelMismatch

INTEGERS = ("smallint", "integer", "bigint")


@dataclass(frozen=True, eq=False)
class Search:
    """What :meth:`LateInteractionQuerySet.search` was asked for."""

    field: Field
    query: QueryVectors
    k: int | None = None
    candidates: int | None = None
    exact: bool = False
    min_score: float | None = None


class Cast(NamedTuple):
    """A value, and the type to cast it to."""

    value: Any
    type: str


class Found(Lookup):
    """``key IN (SELECT doc_id FROM colbert.search(…))``."""

    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        search: Search = self.rhs
        source = search.field.model._meta
        refuse_unanswerable(search, connection)
        key_type = source.pk.rel_db_type(connection)
        call, call_params = call_sql(
            "search",
            search,
            compiler,
            connection,
            key=key_form(key_type),
            filter=filter_sql(compiler, search, connection, self),
        )
        key, params = self.process_lhs(compiler, connection)
        return f"{key} IN (SELECT doc_id::{key_type} FROM {call})", (*params, *call_params)


class Encoded(Lookup):
    """``cardinality(embeddings) > 0``: a document that has a score, of a query that has tokens."""

    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        search: Search = self.rhs
        refuse_unanswerable(search, connection)
        embeddings, params = self.process_lhs(compiler, connection)
        return f"pg_catalog.cardinality({embeddings}) > 0", tuple(params)


def call_sql(
    function: str,
    search: Search,
    compiler: Any,
    connection: Any,
    **more: Any,
) -> tuple[str, list[Any]]:
    """``colbert.function(name => value, …)``, of the arguments that are not None."""
    source = connection.ops.quote_name(search.field.model._meta.db_table)
    arguments = {
        "source": Cast(source, "pg_catalog.regclass"),
        "query": Vectors(search.query),
        "k": search.k,
        "candidates": search.candidates,
        "exact": search.exact,
        "embeddings": search.field.column,
        "min_score": search.min_score,
        **more,
    }
    given: list[str] = []
    params: list[Any] = []
    for name, value in arguments.items():
        if isinstance(value, Vectors):
            placeholder, values = compiler.compile(value)
        elif isinstance(value, Cast):
            placeholder, values = f"%s::{value.type}", [value.value]
        else:
            placeholder, values = "%s", [value]
        if values != [None] or isinstance(value, Cast):
            given.append(f"{name} => {placeholder}")
            params += values
    return f"colbert.{function}({', '.join(given)})", params


def key_form(key_type: str) -> Cast | None:
    """``key => NULL::type``; integer keys take the form of a search that needs no key."""
    if key_type in INTEGERS:
        return None
    return Cast(None, "pg_catalog.uuid" if key_type == "uuid" else "pg_catalog.text")


def filter_sql(
    compiler: Any, search: Search, connection: Any, found: Found | None = None
) -> str | None:
    """The conditions of a queryset, as a condition over the source's columns.

    Conditions over nothing but the source stand as they are, so that the server plans them as in
    any statement; others are asked for their keys.

    Args:
        found: the search's own condition, if it is one of the queryset's.
    """
    query: Query = compiler.query
    conditions = _conditions(query, search, found)
    if query.get_external_cols():
        raise NotSupportedError("a search cannot depend on a query around it")
    source = search.field.model._meta
    if query.base_table == source.db_table and _speaks_only_of(source.db_table, conditions):
        try:
            sql, params = compiler.compile(conditions)
        except FullResultSet:
            return None
    else:
        keys = _keys(query, search, conditions)
        sql, params = keys.get_compiler(connection=connection).as_sql()
        sql = f"{connection.ops.quote_name(source.pk.column)} IN ({sql})"
    text: str = connection.ops.compose_sql(sql, params)
    return text


def has_search(query: Query) -> bool:
    """Whether a queryset is limited to what a search has found."""
    return any(isinstance(condition, Found) for condition in _conjuncts(query.where))


def _conditions(query: Query, search: Search, found: Found | None) -> WhereNode:
    """The conditions beside a search that speak of documents, not of what was found.

    Those on its score apply to what was found, and so do those on groups of several documents.
    """
    beside = list(_conjuncts(query.where))
    if found is not None and found not in beside:
        raise NotSupportedError(
            "a search cannot be negated or be an alternative: filter, then search"
        )
    others = [c for c in beside if c != found]
    if any(isinstance(condition, Found) for condition in others):
        raise NotSupportedError("a queryset can be searched once")
    others = [c for c in others if not _is_scored_by(search, c)]
    if not _groups_are_rows(query):
        others = [c for c in others if not c.contains_aggregate]
    return WhereNode(others, AND)


def _is_scored_by(search: Search, condition: Any) -> bool:
    return any(
        isinstance(expression, MaxSim) and expression.query is search.query
        for expression in _expressions(condition)
    )


def _keys(query: Query, search: Search, conditions: WhereNode) -> Query:
    """The keys of what a queryset is limited to, as a query of their own."""
    keys = query.chain(klass=Query)
    keys.where = conditions
    keys.clear_ordering(force=True)
    keys.clear_limits()
    keys.clear_select_clause()
    keys.add_fields(["pk"])
    keys.distinct, keys.distinct_fields = False, ()
    keys.select_for_update = False
    if isinstance(keys.group_by, tuple):
        keys.group_by = tuple(e for e in keys.group_by if not _is_scored_by(search, e))
    return keys


def refuse_unanswerable(search: Search, connection: Any) -> None:
    """Raise where a text has no tokens, or an index holds vectors of another model than its.

    Raises:
        EmptyResultSet: which is no error, but what Django takes for "no rows".
        ModelMismatch: for text alone.
    """
    if search.query.finds_nothing:
        raise EmptyResultSet
    if search.query.is_text:
        _refuse_other_model(search.field, connection)


def _refuse_other_model(field: Field, connection: Any) -> None:
    """Raise where an index remembers another model than that of the settings' encoder."""
    source = connection.ops.quote_name(field.model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(INDEX_OF, {"source": source, "embeddings": field.column})
        indexes = [Index.of(row, source) for row in cursor.fetchall()]
    for model in (index.model for index in indexes if index.model is not None):
        own = fingerprint_of(encoder())
        if not same_model(model, own):
            raise ModelMismatch(source, model, own)


def _groups_are_rows(query: Query) -> bool:
    """Whether nothing is grouped, or by the key, so that aggregates are a document's own."""
    if not isinstance(query.group_by, tuple):
        return True
    by = (e.source if isinstance(e, Ref) else e for e in query.group_by)
    return any(isinstance(e, Col) and e.target == query.model._meta.pk for e in by)


def _conjuncts(node: Any) -> Iterator[Any]:
    """The conditions that all have to hold."""
    if isinstance(node, WhereNode) and not node.negated and node.connector == AND:
        for child in node.children:
            yield from _conjuncts(child)
    else:
        yield node


def _speaks_only_of(table: str, conditions: WhereNode) -> bool:
    """Whether conditions can stand in the WHERE of one table as they are."""
    if conditions.contains_aggregate or conditions.contains_over_clause:
        return False
    for expression in _expressions(conditions):
        if isinstance(expression, RawSQL | ExtraWhere):
            return False
        columns = [expression] if isinstance(expression, Col) else []
        if isinstance(expression, Query):
            columns = expression.get_external_cols()
        if any(column.alias != table for column in columns):
            return False
    return True


def _expressions(condition: Any) -> Iterator[Any]:
    """A condition's expressions; of a subquery only the whole."""
    if isinstance(condition, WhereNode):
        for child in condition.children:
            yield from _expressions(child)
    elif hasattr(condition, "flatten"):
        yield from condition.flatten()
    else:
        yield condition
