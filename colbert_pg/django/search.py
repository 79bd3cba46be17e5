"""``Document.objects.search(…)`` and its kin: what a queryset and a manager can look for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy.typing as npt
from asgiref.sync import sync_to_async
from django.apps import apps
from django.core.checks import Error
from django.core.exceptions import EmptyResultSet, FieldDoesNotExist, FieldError
from django.db import NotSupportedError, connections
from django.db.models import F, Field, Manager, QuerySet
from django.db.models.sql import Query

from colbert_pg._arguments import require_text
from colbert_pg.django._conditions import (
    INTEGERS,
    Cast,
    Encoded,
    Found,
    Search,
    call_sql,
    filter_sql,
    has_search,
    key_form,
    refuse_unanswerable,
)
from colbert_pg.django.expressions import MaxSim, QueryVectors, is_token_vectors
from colbert_pg.django.indexes import LateInteractionIndex
from colbert_pg.options import WordMatch


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

    def rerank(
        self, query: str | npt.ArrayLike, k: int | None = None, *, embeddings: str | None = None
    ) -> Self:
        """The queryset's documents by their exact ``score``, best first.

        The queryset is the first stage, with its order where it is sliced:
        ``Document.objects.filter(content__search="bread")[:100].rerank("when can I buy bread?")``.
        Of a sliced queryset only its documents remain, and what is loaded with them, not its
        annotations. Documents without tokens are left out.

        Args:
            query: as in :meth:`search`.
            k: how many of them. Default: all.
            embeddings: as in :meth:`search`.

        Raises:
            FieldError, ModelMismatch: as in :meth:`search`.
        """
        field = _token_vectors(self.model, embeddings)
        vectors = QueryVectors(query)
        found = self._of_slice() if self.query.is_sliced else self
        found = found.filter(Encoded(F(field.name), Search(field, vectors)))
        found = found.annotate(score=MaxSim(field.name, vectors)).order_by("-score", "pk")
        found = found.defer(field.name) if found._fields is None else found
        best: Self = found if k is None else found[:k]
        return best

    def hybrid_search(
        self,
        query: str,
        k: int = 10,
        *,
        vectors: npt.ArrayLike | None = None,
        content: str | None = None,
        language: str | None = None,
        match: WordMatch | None = None,
        text_weight: float | None = None,
        constant: int | None = None,
        candidates: int | None = None,
        exact: bool = False,
        embeddings: str | None = None,
    ) -> list[Any]:
        """The ``k`` best by late interaction and full text, fused: ``colbert.hybrid_search``.

        What the queryset is limited to limits what is searched. This asks the database at once.
        The documents come best first, each with its fused ``score`` and with ``maxsim_rank``,
        ``maxsim_score``, ``text_rank`` and ``text_score``: None where a part has not found it.

        Args:
            query: text, for both parts. Empty text finds nothing.
            k: how many documents.
            vectors: the query as an array (tokens, dimensions), instead of having it encoded.
            content: the field that full text searches, of text or a ``SearchVectorField``. Default:
                the text that the index names, else the column content.
            language: a text-search configuration. Default: the server's.
            match: "any" of the words, or "websearch" for PostgreSQL's syntax of that name.
            text_weight: from 0, late interaction alone, to 1, full text alone.
            constant: that of reciprocal rank fusion. Default: 60.
            candidates, exact, embeddings: as in :meth:`search`.

        Raises:
            FieldError, ModelMismatch: as in :meth:`search`.
            NotSupportedError: of a queryset that is a search already.
            TypeError: of one that is sliced or gives no instances, and for what is no text.
        """
        require_text(query)
        field = _token_vectors(self.model, embeddings)
        quote = connections[self.db].ops.quote_name
        search = Search(
            field, QueryVectors(query if vectors is None else vectors), k, candidates, exact
        )
        extra = ("score", "maxsim_rank", "maxsim_score", "text_rank", "text_score")
        return self._instances(
            search,
            "hybrid_search",
            extra,
            words=query,
            content=None if content is None else quote(_column(field, content).column),
            language=None if language is None else Cast(language, "pg_catalog.regconfig"),
            match=match,
            text_weight=text_weight,
            constant=constant,
            key=key_form(_key_type(field, self.db)),
        )

    async def ahybrid_search(self, *args: Any, **kwargs: Any) -> list[Any]:
        """:meth:`hybrid_search`, awaited."""
        found: list[Any] = await sync_to_async(self.hybrid_search)(*args, **kwargs)
        return found

    def search_parents(
        self,
        query: str | npt.ArrayLike,
        parent: str,
        k: int = 10,
        *,
        candidates: int | None = None,
        exact: bool = False,
        embeddings: str | None = None,
        min_score: float | None = None,
    ) -> list[Any]:
        """The best chunk of each of the ``k`` best parents: ``colbert.search_parents``.

        For models whose instances are parts of longer documents. What the queryset is limited to
        limits what is searched. This asks the database at once. The chunks come best first, each
        with its exact ``score``; ``chunk.document`` is the parent, which
        ``select_related("document")`` fetches along.

        Args:
            query: as in :meth:`search`.
            parent: the field that names the parent of a chunk.
            k: how many parents.
            candidates, exact, embeddings, min_score: as in :meth:`search`.

        Raises:
            FieldError, ModelMismatch: as in :meth:`search`.
            NotSupportedError: of a queryset that is a search already.
            TypeError: of one that is sliced or gives no instances.
        """
        field = _token_vectors(self.model, embeddings)
        named = _column(field, parent)
        parent_type = named.db_type(connections[self.db]).partition("(")[0]
        integers = {parent_type, _key_type(field, self.db)} <= set(INTEGERS)
        form = None if integers else key_form(parent_type) or Cast(None, "pg_catalog.text")
        return self._instances(
            Search(field, QueryVectors(query), k, candidates, exact, min_score),
            "search_parents",
            ("score",),
            parent=named.column,
            key=form,
        )

    async def asearch_parents(self, *args: Any, **kwargs: Any) -> list[Any]:
        """:meth:`search_parents`, awaited."""
        found: list[Any] = await sync_to_async(self.search_parents)(*args, **kwargs)
        return found

    def _of_slice(self) -> Self:
        """The documents of a slice, as a queryset that can be filtered and ordered anew."""
        found = self._chain()
        found.query = Query(self.model)
        found.query.select_related = self.query.select_related
        found.query.deferred_loading = self.query.deferred_loading
        limited: Self = found.filter(pk__in=self.values("pk"))
        return limited

    def _instances(
        self, search: Search, function: str, extra: Sequence[str], **arguments: Any
    ) -> list[Any]:
        """What a function finds among the queryset's documents, with its columns as attributes."""
        if self.query.is_sliced or self._fields is not None:
            raise TypeError(f"{function} takes a queryset of instances that is not sliced")
        if has_search(self.query):
            raise NotSupportedError("a queryset can be searched once")
        connection = connections[self.db]
        query = self.query.clone()
        query.get_initial_alias()
        try:
            refuse_unanswerable(search, connection)
            compiler = query.get_compiler(connection=connection)
            arguments["filter"] = filter_sql(compiler, search, connection)
            call, params = call_sql(function, search, compiler, connection, **arguments)
        except EmptyResultSet:
            return []
        key = f"r.doc_id::{_key_type(search.field, self.db)}"
        columns = ", ".join([key, *(f"r.{name}" for name in extra)])
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {columns} FROM {call} AS r", params)
            rows = cursor.fetchall()
        to_key = self.model._meta.pk.to_python
        found = {to_key(key): values for key, *values in rows}
        instances = {i.pk: i for i in self.filter(pk__in=list(found)).defer(search.field.name)}
        ordered = [instances[key] for key in found if key in instances]
        for instance in ordered:
            for name, value in zip(extra, found[instance.pk], strict=True):
                setattr(instance, name, value)
        return ordered

    def contains(self, obj: Any) -> bool:
        """Whether the queryset holds an instance: of a search, whether it is among the best."""
        if has_search(self.query):
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


def _token_vectors(model: Any, name: str | None) -> Field:
    """The field of token vectors: the one that is named, or the only one that is no first stage."""
    if name is not None:
        field = model._meta.get_field(name)
        if not is_token_vectors(field):
            raise FieldError(f"{model.__name__}.{name} is not an array of vectors")
        return field
    fields = [
        field
        for field in model._meta.concrete_fields
        if is_token_vectors(field) and not _is_first_stage(field)
    ]
    if len(fields) != 1:
        names = ", ".join(field.name for field in fields) or "none"
        raise FieldError(
            f"{model.__name__} has {len(fields)} fields of token vectors ({names}): "
            'name one, search(…, embeddings="…")'
        )
    return fields[0]


def _is_first_stage(field: Field) -> bool:
    """Whether another index in ``Meta`` finds its candidates by this field."""
    return any(
        (index.options or {}).get("first_stage") == field.column
        for index in field.model._meta.indexes
        if isinstance(index, LateInteractionIndex)
    )


def field_of(model: Any, name: str) -> Field | None:
    """A field by its name; None where the model has none of that name."""
    try:
        return model._meta.get_field(name)
    except FieldDoesNotExist:
        return None


def _column(embeddings: Field, name: str) -> Field:
    """A field by its name, in the table that the vectors are in."""
    field = embeddings.model._meta.get_field(name)
    if field not in embeddings.model._meta.local_concrete_fields:
        raise FieldError(
            f"{name} is no column of the table of {embeddings.model.__name__}.{embeddings.name}"
        )
    return field


def _key_type(embeddings: Field, alias: str) -> str:
    """How SQL writes the type of the keys of the table that the vectors are in."""
    key_type: str = embeddings.model._meta.pk.rel_db_type(connections[alias])
    return key_type
