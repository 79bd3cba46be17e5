"""Late interaction in SQLAlchemy 2: scores as SQL expressions, searches as relations to join to.

Columns of token vectors are pgvector's types in an array, ``ARRAY(VECTOR(128), dimensions=1)`` or
``ARRAY(HALFVEC(128), dimensions=1)``. Nothing here touches a connection, so that synchronous and
asynchronous sessions are alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
from pgvector.sqlalchemy import HALFVEC, VECTOR
from sqlalchemy import (
    ColumnElement,
    Double,
    FromClause,
    Integer,
    SelectBase,
    SQLColumnExpression,
    TableValuedAlias,
    Text,
    cast,
    column,
    func,
    literal,
    literal_column,
    null,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, REGCLASS, REGCONFIG
from sqlalchemy.orm.util import AliasedClass
from sqlalchemy.sql.functions import Function

from colbert_pg._arguments import require_keys, require_text
from colbert_pg._statements import sql_name
from colbert_pg.options import WordMatch
from colbert_pg.sqlalchemy._filters import filter_and_params, text_of
from colbert_pg.sqlalchemy._sources import Source, is_integer, key_form, rerank_form
from colbert_pg.vectors import as_matrix
from colbert_pg.vectors import literal as array_literal

__all__ = ["hybrid_search", "maxsim", "rerank", "search", "search_parents", "token_array"]

Filter = str | ColumnElement[bool]


def maxsim(query: npt.ArrayLike | ColumnElement[Any], document: Any) -> ColumnElement[float]:
    """The late-interaction score of a document: ``colbert.maxsim``.

    Args:
        query: an array (tokens, dimensions) of unit rows, or a SQL expression of the document's
            type.
        document: a column of token vectors, or any expression of such a type.
    """
    half = isinstance(getattr(document.type, "item_type", None), HALFVEC)
    return func.colbert.maxsim(_vectors(query, half), document, type_=Double())


def token_array(vectors: npt.ArrayLike, *, half: bool = False) -> ColumnElement[Any]:
    """Token vectors as a SQL expression, whatever the driver makes of pgvector's types.

    A value for a mapped attribute, ``Document(embeddings=token_array(matrix))``, and the only one
    where pgvector's codec is registered with asyncpg.

    Args:
        vectors: an array (tokens, dimensions).
        half: as ``halfvec[]``.
    """
    type_: ARRAY[Any] = ARRAY(HALFVEC() if half else VECTOR(), dimensions=1)
    return cast(cast(literal(array_literal(as_matrix(vectors))), Text()), type_)


def search(
    source: type[Any] | AliasedClass[Any] | FromClause,
    query: npt.ArrayLike | ColumnElement[Any],
    *,
    k: int = 10,
    filter: Filter | None = None,
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
        source: a mapped class, an alias of one, or a table. Of a class that inherits, only its own
            instances are found.
        query: an array (tokens, dimensions) of unit rows, or a SQL expression of type ``vector[]``.
        k: how many documents.
        filter: a condition that limits what is searched: an expression over columns of the source
            and subqueries, or SQL as text. Text is run as it is: values that come from elsewhere
            belong in ``params``.
        params: values for a text, as ``params->>'name'``.
        candidates: how many documents of the index to score exactly. Default: the server's.
        exact: score every document, without the index.
        embeddings: the array column, where several are indexed.
        key: the index's key, where that is not the primary key: ``Document.slug``.
        name: what the relation is called in the statement.
        min_score: the least that a result scores, as a mean over the query, from -1 to 1: the score
            divided by the sum of the lengths of the query's vectors.

    Raises:
        ValueError: if the source is neither, or has no primary key of one column and no key is
            given; for a class whose vectors are in more than one table.
        TypeError: for text as the query: encode it first. For a filter whose values JSON cannot
            hold.
    """
    given = Source.of(source, embeddings)
    key = given.primary_key() if key is None else _column(given, key)
    form = key_form(key.type)
    return _relation(
        "search",
        name,
        {"doc_id": form, "score": Double()},
        source=_regclass(given),
        query=_vectors(query),
        key=_key(form),
        min_score=_least(min_score),
        **_limits(given, key, k, filter, params, candidates, exact, embeddings),
    )


def hybrid_search(
    source: type[Any] | AliasedClass[Any] | FromClause,
    query: npt.ArrayLike | ColumnElement[Any],
    words: str | ColumnElement[str],
    *,
    k: int = 10,
    content: str | SQLColumnExpression[Any] | None = None,
    language: str | None = None,
    match: WordMatch | None = None,
    text_weight: float | None = None,
    constant: int | None = None,
    filter: Filter | None = None,
    params: Mapping[str, Any] | None = None,
    candidates: int | None = None,
    exact: bool = False,
    embeddings: str | None = None,
    key: Any = None,
    name: str = "hits",
) -> TableValuedAlias:
    """Late interaction and full text, fused: ``colbert.hybrid_search``.

    Its columns are ``doc_id``, ``score``, ``maxsim_rank``, ``maxsim_score``, ``text_rank`` and
    ``text_score``.

    Args:
        query: as in :func:`search`.
        words: the query once more, as text.
        content: what full text searches, a text or a tsvector: a column or an expression without
            values, or SQL as text. Default: the text that the index names, else the column content.
        language: a text-search configuration. Default: the server's.
        match: "any" of the words, or "websearch" for PostgreSQL's syntax of that name.
        text_weight: from 0, late interaction alone, to 1, full text alone.
        constant: that of reciprocal rank fusion. Default: 60.
        source, k, filter, params, candidates, exact, embeddings, key, name: as in :func:`search`.

    Raises:
        ValueError, TypeError: as :func:`search`; for ``content`` with values in it.
    """
    if not hasattr(words, "__clause_element__") and not isinstance(words, ColumnElement):
        require_text(words)
    given = Source.of(source, embeddings)
    key = given.primary_key() if key is None else _column(given, key)
    form = key_form(key.type)
    return _relation(
        "hybrid_search",
        name,
        {
            "doc_id": form,
            "score": Double(),
            "maxsim_rank": Integer(),
            "maxsim_score": Double(),
            "text_rank": Integer(),
            "text_score": Double(),
        },
        source=_regclass(given),
        query=_vectors(query),
        words=cast(literal(words) if isinstance(words, str) else words, Text()),
        key=_key(form),
        content=_literal(None if content is None else text_of(given, content)),
        language=None if language is None else cast(literal(language), REGCONFIG()),
        match=_literal(match),
        text_weight=_literal(text_weight),
        constant=_literal(constant),
        **_limits(given, key, k, filter, params, candidates, exact, embeddings),
    )


def search_parents(
    source: type[Any] | AliasedClass[Any] | FromClause,
    query: npt.ArrayLike | ColumnElement[Any],
    parent: Any,
    *,
    k: int = 10,
    filter: Filter | None = None,
    params: Mapping[str, Any] | None = None,
    candidates: int | None = None,
    exact: bool = False,
    embeddings: str | None = None,
    key: Any = None,
    name: str = "hits",
    min_score: float | None = None,
) -> TableValuedAlias:
    """The ``k`` parents with the best chunk, and that chunk: ``colbert.search_parents``.

    Its columns are ``parent_id``, ``score`` and ``doc_id``, the key of the chunk. Where one of both
    keys is no integer, the key of the chunk is text.

    Args:
        source: of the chunks.
        parent: its column that names the parent: ``Chunk.document_id``.
        query, k, filter, params, candidates, exact, embeddings, key, name, min_score: as in
            :func:`search`.

    Raises:
        ValueError, TypeError: as :func:`search`.
    """
    given = Source.of(source, embeddings)
    key = given.primary_key() if key is None else _column(given, key)
    parent = _column(given, parent)
    form = key_form(parent.type)
    integers = is_integer(parent.type) and is_integer(key.type)
    if is_integer(form) and not integers:
        form = Text()
    return _relation(
        "search_parents",
        name,
        {"parent_id": form, "score": Double(), "doc_id": key.type if integers else Text()},
        source=_regclass(given),
        query=_vectors(query),
        parent=literal(parent.name),
        key=_key(form),
        min_score=_least(min_score),
        **_limits(given, key, k, filter, params, candidates, exact, embeddings),
    )


def rerank(
    source: type[Any] | AliasedClass[Any] | FromClause,
    query: npt.ArrayLike | ColumnElement[Any],
    ids: Sequence[Any] | SelectBase,
    *,
    k: int | None = None,
    embeddings: str | None = None,
    key: Any = None,
    name: str = "hits",
    min_score: float | None = None,
) -> TableValuedAlias:
    """The exact scores of documents that another search has found: ``colbert.rerank``.

    Its columns are ``doc_id`` and ``score``.

    Args:
        ids: keys of documents, or a ``select`` of them.
        k: how many to return. Default: all.
        source, query, embeddings, key, name, min_score: as in :func:`search`. Instances of other
            classes in the same table are not left out: the ids say what is scored.

    Raises:
        ValueError, TypeError: as :func:`search`.
    """
    given = Source.of(source, embeddings)
    key = given.primary_key() if key is None else _column(given, key)
    form = key_form(key.type)
    array: Any
    if isinstance(ids, SelectBase):
        array = func.array(ids.scalar_subquery(), type_=ARRAY(key.type))
    else:
        require_keys("rerank", ids)
        array = cast(literal(list(ids), ARRAY(key.type)), ARRAY(key.type))
    return _relation(
        "rerank",
        name,
        {"doc_id": form, "score": Double()},
        source=_regclass(given),
        query=_vectors(query),
        ids=cast(array, ARRAY(rerank_form(form))),
        k=_literal(k),
        embeddings=_literal(embeddings),
        min_score=_least(min_score),
    )


def _relation(
    function: str, name: str, columns: Mapping[str, Any], **arguments: Any
) -> TableValuedAlias:
    """``colbert.function(name => value, …)`` of the arguments that are not None."""
    call: Function[Any] = getattr(func.colbert, function)(
        *(
            literal_column(argument).op("=>")(value)
            for argument, value in arguments.items()
            if value is not None
        )
    )
    return call.table_valued(*(column(c, type_) for c, type_ in columns.items()), name=name)


def _limits(
    source: Source,
    key: ColumnElement[Any],
    k: int,
    filter: Filter | None,
    params: Mapping[str, Any] | None,
    candidates: int | None,
    exact: bool,
    embeddings: str | None,
) -> dict[str, Any]:
    """The arguments that all searches have."""
    text, values = filter_and_params(source, filter, params, key)
    return {
        "k": literal(k),
        "filter": _literal(text),
        "params": None if values is None else literal(values, JSONB()),
        "candidates": _literal(candidates),
        "exact": literal(exact),
        "embeddings": _literal(embeddings),
    }


def _literal(value: Any) -> ColumnElement[Any] | None:
    return None if value is None else literal(value)


def _least(min_score: float | None) -> ColumnElement[Any] | None:
    return None if min_score is None else literal(min_score, Double())


def _regclass(source: Source) -> ColumnElement[Any]:
    return cast(literal(sql_name(source.table.name, source.table.schema)), REGCLASS())


def _key(form: Any) -> ColumnElement[Any] | None:
    """``key => NULL::type``; integer keys take the form of a search that needs no key."""
    return None if is_integer(form) else cast(null(), form)


def _vectors(query: Any, half: bool = False) -> Any:
    """A matrix as a bound array of vectors; a SQL expression as it is."""
    if hasattr(query, "__clause_element__") or isinstance(query, ColumnElement):
        return query
    return token_array(query, half=half)


def _column(source: Source, given: Any) -> ColumnElement[Any]:
    """A column of a source, by its attribute, itself, or its name.

    Raises:
        ValueError: if the table has no such column.
    """
    clause = getattr(given, "__clause_element__", lambda: given)()
    name = given if isinstance(given, str) else getattr(clause, "name", given)
    if name not in source.table.c:
        raise ValueError(f"table {source.table.fullname} has no column {name}")
    return source.table.c[name]
