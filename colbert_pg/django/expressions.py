"""``MaxSim``, the late-interaction score, as an expression for annotate, filter and order_by."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from django.contrib.postgres.fields import ArrayField
from django.db.models import Expression, Field, FloatField, Func, Value
from pgvector.django import HalfVectorField, VectorField

from colbert_pg._arguments import is_blank
from colbert_pg.django.encoding import encode_query
from colbert_pg.vectors import Matrix, as_matrix


class QueryVectors:
    """What is searched for. Text is encoded when it is first needed, and only then.

    Args:
        query: text, or an array (tokens, dimensions) of unit rows.
    """

    def __init__(self, query: str | npt.ArrayLike) -> None:
        self._given = query if isinstance(query, str) else as_matrix(query)

    @property
    def is_text(self) -> bool:
        return isinstance(self._given, str)

    @cached_property
    def matrix(self) -> Matrix:
        if not isinstance(self._given, str):
            return self._given
        if is_blank(self._given):
            return np.empty((0, 0), dtype=np.float32)
        return encode_query(self._given)

    @property
    def finds_nothing(self) -> bool:
        """Whether nothing is left of a text, as of that of an empty search box."""
        return self.is_text and not len(self.matrix)


class Vectors(Expression):
    """The vectors of a query as a parameter: ``%s::vector[]``, or ``halfvec[]``."""

    def __init__(self, query: QueryVectors, half: bool = False) -> None:
        self.query = query
        self.half = half
        base: Field = HalfVectorField() if half else VectorField()
        super().__init__(output_field=ArrayField(base))

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        value = Value(list(self.query.matrix), output_field=self.output_field)
        sql, params = value.as_sql(compiler, connection)
        return sql, tuple(params)


class MaxSim(Func):
    """The late-interaction score of a document, ``colbert.maxsim``; NULL without an array.

    Args:
        embeddings: the field of token vectors, or another expression.
        query: text, an array (tokens, dimensions) of unit rows, or an expression, such as
            ``F("other_embeddings")``.
    """

    function = "colbert.maxsim"
    output_field = FloatField()

    def __init__(self, embeddings: Any, query: Any, **extra: Any) -> None:
        if not hasattr(query, "resolve_expression"):
            query = Vectors(query if isinstance(query, QueryVectors) else QueryVectors(query))
        super().__init__(query, embeddings, **extra)

    @property
    def query(self) -> QueryVectors | None:
        """What is searched for, unless that is an expression."""
        query = self.source_expressions[0]
        return query.query if isinstance(query, Vectors) else None

    def resolve_expression(self, *args: Any, **kwargs: Any) -> MaxSim:
        resolved: MaxSim = super().resolve_expression(*args, **kwargs)
        query, document = resolved.source_expressions
        if isinstance(query, Vectors) and is_half(document.output_field):
            resolved.source_expressions[0] = Vectors(query.query, half=True)
        return resolved


def is_half(field: Any) -> bool:
    """Whether a field holds halves."""
    return isinstance(getattr(field, "base_field", None), HalfVectorField)


def is_token_vectors(field: Any) -> bool:
    """Whether a field holds arrays of vectors."""
    return isinstance(field, ArrayField) and isinstance(
        field.base_field, VectorField | HalfVectorField
    )
