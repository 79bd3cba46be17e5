"""``Document.objects.search(…)``: the search as a condition of a queryset.

A search is one lookup in the queryset's WHERE, ``key IN (SELECT doc_id FROM colbert.search(…))``,
and a score beside it, so that all of a queryset goes on working. When the statement is made, the
queryset's other conditions become the filter of the search: they limit what is searched, in
whichever order they were written. They reach ``colbert.search`` as text in which the driver has
quoted the values, as Django's own statements do on this driver.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy.typing as npt
from django.apps import apps
from django.core.checks import Error
from django.core.exceptions import EmptyResultSet, FieldError, FullResultSet
from django.db import NotSupportedError
from django.db.models import F, Field, Lookup, Manager, QuerySet
from django.db.models.expressions import Col, RawSQL, Ref
from django.db.models.sql import AND, Query
from django.db.models.sql.where import ExtraWhere, WhereNode

from colbert_pg.catalog import INDEX_OF, Index
from colbert_pg.django.encoding import encoder
from colbert_pg.django.expressions import MaxSim, QueryVectors, Vectors, is_token_vectors
from colbert_pg.encoding import fingerprint_of, same_model
from colbert_pg.errors import ModelMismatch


class LateInteractionQuerySet(QuerySet):
    """A queryset that can be searched."""

    def search(
        self,
        query: str | npt.ArrayLike,
        k: int = 10,
        *,
        candidates: int | None = None,
        exact: bool = False,
        embeddings: str | None = None,
        min_score: float | None = None,
    ) -> Self:
        """The ``k`` best of the queryset's documents, best first, with their exact ``score``.

        What the queryset is limited to, before and after this call, limits what is searched.
        Conditions on ``score`` apply to what was found. The token vectors themselves are deferred.

        Args:
            query: text, for the encoder of the settings, or an array (tokens, dimensions) of unit
                rows. Empty text finds nothing.
            k: how many documents.
            candidates: how many documents of the index to score exactly. Default: the server's.
            exact: score every document, without the index.
            embeddings: the field of token vectors, where there are several.
            min_score: the least that a result scores, as a mean over the query, from -1 to 1: the
                score divided by the sum of the lengths of the query's vectors.

        Raises:
            FieldError: if the model has no such field, or several and none is named.

        When it is evaluated, :class:`~colbert_pg.errors.ModelMismatch` for text, if the index
        remembers another model than that of the encoder.
        """
        field = _token_vectors(self.model, embeddings)
        vectors = QueryVectors(query)
        search = Search(field, vectors, k, candidates, exact, min_score)
        found: Self = self.filter(Found(F("pk"), search))
        found = found.annotate(score=MaxSim(field.name, vectors)).order_by("-score", "pk")
        return found.defer(field.name) if found._fields is None else found

    def contains(self, obj: Any) -> bool:
        """Whether the queryset holds an instance: of a search, whether it is among the best."""
        if any(isinstance(condition, Found) for condition in _conjuncts(self.query.where)):
            self._fetch_all()  # a condition on the key would limit what is searched
        return bool(super().contains(obj))


_Manager: Any = Manager.from_queryset(LateInteractionQuerySet)


class LateInteractionManager(_Manager):
    """A manager whose querysets can be searched."""

    def check(self, **options: Any) -> list[Any]:
        """The application has to be installed: without it, arrays are not read as lists."""
        errors: list[Any] = super().check(**options)
        if not apps.is_installed("colbert_pg.django"):
            hint = "Add 'colbert_pg.django' to INSTALLED_APPS."
            message = "colbert_pg.django is not installed."
            errors.append(Error(message, hint=hint, obj=self.model, id="colbert_pg.E001"))
        return errors


@dataclass(frozen=True, eq=False)
class Search:
    """What :meth:`LateInteractionQuerySet.search` was asked for."""

    field: Field
    query: QueryVectors
    k: int
    candidates: int | None
    exact: bool
    min_score: float | None


class Found(Lookup):
    """``key IN (SELECT doc_id FROM colbert.search(…))``."""

    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        search: Search = self.rhs
        source = search.field.model._meta
        if search.query.finds_nothing:
            raise EmptyResultSet
        if search.query.is_text:
            _refuse_other_model(search.field, connection)
        vectors, vectors_params = compiler.compile(Vectors(search.query))
        arguments = [
            ("source", "%s::pg_catalog.regclass", [connection.ops.quote_name(source.db_table)]),
            ("query", vectors, vectors_params),
            ("k", "%s", [search.k]),
            ("exact", "%s", [search.exact]),
            ("embeddings", "%s", [search.field.column]),
        ]
        key_type = source.pk.rel_db_type(connection)
        if key_type not in ("smallint", "integer", "bigint"):
            arguments.append(("key", f"NULL::{'uuid' if key_type == 'uuid' else 'text'}", []))
        if search.candidates is not None:
            arguments.append(("candidates", "%s", [search.candidates]))
        if search.min_score is not None:
            arguments.append(("min_score", "%s", [search.min_score]))
        filter = self._filter(compiler, connection)
        if filter is not None:
            arguments.append(("filter", "%s", [filter]))
        key, params = self.process_lhs(compiler, connection)
        given = ", ".join(f"{name} => {placeholder}" for name, placeholder, _ in arguments)
        return (
            f"{key} IN (SELECT doc_id::{key_type} FROM colbert.search({given}))",
            (*params, *(value for _, _, values in arguments for value in values)),
        )

    def _filter(self, compiler: Any, connection: Any) -> str | None:
        """The other conditions of the queryset, as a condition over the source's columns.

        Conditions over nothing but the source stand as they are, so that the server plans them as
        in any statement; others are asked for their keys.
        """
        query: Query = compiler.query
        conditions = self._conditions(query)
        if query.get_external_cols():
            raise NotSupportedError("a search cannot depend on a query around it")
        source = self.rhs.field.model._meta
        if query.base_table == source.db_table and _speaks_only_of(source.db_table, conditions):
            try:
                sql, params = compiler.compile(conditions)
            except FullResultSet:
                return None
        else:
            sql, params = self._keys(query, conditions).get_compiler(connection=connection).as_sql()
            sql = f"{connection.ops.quote_name(source.pk.column)} IN ({sql})"
        text: str = connection.ops.compose_sql(sql, params)
        return text

    def _conditions(self, query: Query) -> WhereNode:
        """The conditions beside this one that speak of documents, not of what was found.

        Those on its score apply to what was found, and so do those on groups of several documents.
        """
        beside = list(_conjuncts(query.where))
        if self not in beside:
            raise NotSupportedError(
                "a search cannot be negated or be an alternative: filter, then search"
            )
        others = [c for c in beside if c != self]
        if any(isinstance(condition, Found) for condition in others):
            raise NotSupportedError("a queryset can be searched once")
        others = [c for c in others if not self._is_scored_by(c)]
        if not _groups_are_rows(query):
            others = [c for c in others if not c.contains_aggregate]
        return WhereNode(others, AND)

    def _is_scored_by(self, condition: Any) -> bool:
        return any(
            isinstance(expression, MaxSim) and expression.query is self.rhs.query
            for expression in _expressions(condition)
        )

    def _keys(self, query: Query, conditions: WhereNode) -> Query:
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
            keys.group_by = tuple(e for e in keys.group_by if not self._is_scored_by(e))
        return keys


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


def _token_vectors(model: Any, name: str | None) -> Field:
    """The field of token vectors: the one that is named, or the only one."""
    if name is not None:
        field = model._meta.get_field(name)
        if not is_token_vectors(field):
            raise FieldError(f"{model.__name__}.{name} is not an array of vectors")
        return field
    fields = [field for field in model._meta.concrete_fields if is_token_vectors(field)]
    if len(fields) != 1:
        names = ", ".join(field.name for field in fields) or "none"
        raise FieldError(
            f"{model.__name__} has {len(fields)} fields of token vectors ({names}): "
            'name one, search(…, embeddings="…")'
        )
    return fields[0]
