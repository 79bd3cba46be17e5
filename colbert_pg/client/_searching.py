"""Searching, and why a document was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy.typing as npt
from psycopg import sql

from colbert_pg._arguments import require_keys, require_text
from colbert_pg._statements import quoted, verbatim
from colbert_pg.catalog import OPTIONS_NOW, Source
from colbert_pg.client._calls import (
    INTEGERS,
    Cast,
    call,
    call_sql,
    ids_type,
    key_argument,
    key_form,
    parameters,
    placeholder,
    returned_key_sql,
)
from colbert_pg.client._core import Core
from colbert_pg.client._operation import Query, Steps, operation
from colbert_pg.client._results import Explanation, Hit, HybridHit, Key, Match, ParentHit, Stage
from colbert_pg.encoding import TokenText
from colbert_pg.errors import DocumentMissing
from colbert_pg.options import WordMatch
from colbert_pg.vectors import as_matrix


class SearchOperations(Core):
    """What both clients find."""

    @operation
    def search(
        self,
        source: str,
        query: str | npt.ArrayLike,
        *,
        k: int = 10,
        filter: str | None = None,
        params: Mapping[str, Any] | None = None,
        candidates: int | None = None,
        exact: bool = False,
        embeddings: str | None = None,
        min_score: float | None = None,
        columns: Sequence[str] = (),
    ) -> Steps[list[Hit]]:
        """The ``k`` best documents, best first, with their exact scores: ``colbert.search``.

        Args:
            source: the table.
            query: text, or an array (tokens, dimensions). A row of another length than 1 weighs as
                many times as much. Empty text finds nothing.
            k: how many documents.
            filter: a SQL condition over the columns of the source. It is run as SQL: values that
                come from elsewhere belong in ``params``.
            params: values for the condition, as ``params->>'name'``. Dates and uuids become
                their text, which the condition casts.
            candidates: how many documents of the index to score exactly. Default: the server's.
            exact: score every document, without the index.
            embeddings: the array column, where several are indexed.
            min_score: the least that a result scores, as a mean over the query, from -1 to 1: the
                score divided by the sum of the lengths of the query's vectors.
            columns: of the rows that are found, to be returned as ``hit.columns["content"]``.

        Raises:
            ModelMismatch: if the index holds vectors of another model than the encoder's.
            EncoderMissing: for text on a client without an encoder.
            ValueError: for columns that the table does not have.
        """
        vectors = yield from self._query(source, query, embeddings)
        if vectors is None:
            return []
        table = yield from self._known.source(source)
        key_type = _key_type(table, embeddings)
        rows = yield from self._found(
            table,
            isinstance(query, str),
            columns,
            call(
                "search",
                f"{returned_key_sql('doc_id', key_type)}, r.score",
                source=source,
                query=vectors,
                key=key_argument(key_type),
                k=k,
                filter=filter,
                params=params,
                candidates=candidates,
                exact=exact,
                embeddings=embeddings,
                min_score=min_score,
            ),
        )
        return [Hit.of(row, columns) for row in rows]

    @operation
    def explain_search(
        self,
        source: str,
        query: str | npt.ArrayLike,
        *,
        k: int = 10,
        filter: str | None = None,
        params: Mapping[str, Any] | None = None,
        candidates: int | None = None,
        exact: bool = False,
        embeddings: str | None = None,
        min_score: float | None = None,
    ) -> Steps[list[Stage]]:
        """What each stage of that :meth:`search` does: ``colbert.explain_search``."""
        vectors = yield from self._query(source, query, embeddings, fresh=True)
        if vectors is None:
            return []
        table = yield from self._known.source(source)
        rows = yield call(
            "explain_search",
            source=source,
            query=vectors,
            key=key_argument(_key_type(table, embeddings)),
            k=k,
            filter=filter,
            params=params,
            candidates=candidates,
            exact=exact,
            embeddings=embeddings,
            min_score=min_score,
        )
        return [Stage(*row) for row in rows]

    @operation
    def hybrid_search(
        self,
        source: str,
        query: str,
        *,
        vectors: npt.ArrayLike | None = None,
        k: int = 10,
        content: str | None = None,
        language: str | None = None,
        match: WordMatch | None = None,
        text_weight: float | None = None,
        constant: int | None = None,
        filter: str | None = None,
        params: Mapping[str, Any] | None = None,
        candidates: int | None = None,
        exact: bool = False,
        embeddings: str | None = None,
        columns: Sequence[str] = (),
    ) -> Steps[list[HybridHit]]:
        """Late interaction and full text fused by reciprocal rank: ``colbert.hybrid_search``.

        Args:
            source: the table.
            query: text, for both parts.
            vectors: the query as an array (tokens, dimensions), instead of having it encoded.
            k: how many documents.
            content: what full text searches, a SQL expression over the columns of the source: a
                tsvector or a text. Default: the text column that the index names, else content.
            language: a text-search configuration. Default: the server's.
            match: "any" of the words, or "websearch" for PostgreSQL's syntax of that name.
            text_weight: from 0, late interaction alone, to 1, full text alone.
            constant: that of reciprocal rank fusion. Default: 60.
            filter, params, candidates, exact, embeddings, columns: as in :meth:`search`.

        Raises:
            ModelMismatch, EncoderMissing: as :meth:`search`.
            TypeError: if the query is not text.
        """
        require_text(query)
        given = query if vectors is None else as_matrix(vectors)
        encoded = yield from self._query(source, given, embeddings)
        if encoded is None:
            return []
        table = yield from self._known.source(source)
        key_type = _key_type(table, embeddings)
        rows = yield from self._found(
            table,
            vectors is None,
            columns,
            call(
                "hybrid_search",
                f"{returned_key_sql('doc_id', key_type)}, r.score, r.maxsim_rank,"
                " r.maxsim_score, r.text_rank, r.text_score",
                source=source,
                query=encoded,
                words=query,
                key=key_argument(key_type),
                k=k,
                content=content,
                language=language,
                match=match,
                text_weight=text_weight,
                constant=constant,
                filter=filter,
                params=params,
                candidates=candidates,
                exact=exact,
                embeddings=embeddings,
            ),
        )
        return [HybridHit.of(row, columns) for row in rows]

    @operation
    def search_parents(
        self,
        source: str,
        query: str | npt.ArrayLike,
        parent: str,
        *,
        k: int = 10,
        filter: str | None = None,
        params: Mapping[str, Any] | None = None,
        candidates: int | None = None,
        exact: bool = False,
        embeddings: str | None = None,
        min_score: float | None = None,
        columns: Sequence[str] = (),
    ) -> Steps[list[ParentHit]]:
        """The ``k`` documents whose best chunk is best, where the rows are chunks of documents:
        ``colbert.search_parents``.

        Args:
            source: the table of chunks.
            query: text, or an array (tokens, dimensions).
            parent: the column that names the document of a chunk.
            k, filter, params, candidates, exact, embeddings, min_score: as in :meth:`search`.
            columns: of the best chunks, as in :meth:`search`.

        Raises:
            ModelMismatch, EncoderMissing: as :meth:`search`.
            ValueError: if there is no such column.
        """
        vectors = yield from self._query(source, query, embeddings)
        if vectors is None:
            return []
        table = yield from self._known.source(source)
        parent_type = table.column(parent).sql_type
        integers = {parent_type, _key_type(table, embeddings) or "bigint"} <= set(INTEGERS)
        form = None if integers else key_form(parent_type) or "pg_catalog.text"
        rows = yield from self._found(
            table,
            isinstance(query, str),
            columns,
            call(
                "search_parents",
                f"{returned_key_sql('parent_id', parent_type)}, r.score, r.doc_id",
                source=source,
                query=vectors,
                parent=parent,
                key=None if form is None else Cast(None, form),
                k=k,
                filter=filter,
                params=params,
                candidates=candidates,
                exact=exact,
                embeddings=embeddings,
                min_score=min_score,
            ),
        )
        return [ParentHit.of(row, columns) for row in rows]

    @operation
    def rerank(
        self,
        source: str,
        query: str | npt.ArrayLike,
        ids: Sequence[Key],
        *,
        k: int | None = None,
        embeddings: str | None = None,
        min_score: float | None = None,
        columns: Sequence[str] = (),
    ) -> Steps[list[Hit]]:
        """Score the documents that another search found: ``colbert.rerank``.

        Args:
            source: the table.
            query: text, or an array (tokens, dimensions).
            ids: keys of documents.
            k: how many to return. Default: all.
            embeddings: the array column, where several are indexed.
            min_score: as in :meth:`search`.
            columns: as in :meth:`search`.

        Raises:
            ModelMismatch, EncoderMissing: as :meth:`search`.
        """
        require_keys("rerank", ids)
        vectors = yield from self._query(source, query, embeddings)
        if vectors is None:
            return []
        table = yield from self._known.source(source)
        rows = yield from self._found(
            table,
            isinstance(query, str),
            columns,
            call(
                "rerank",
                f"{returned_key_sql('doc_id', _key_type(table, embeddings))}, r.score",
                source=source,
                query=vectors,
                ids=Cast(list(ids), ids_type(table.key_type(embeddings))),
                k=k,
                embeddings=embeddings,
                min_score=min_score,
            ),
        )
        return [Hit.of(row, columns) for row in rows]

    @operation
    def explain(
        self,
        source: str,
        query: str | npt.ArrayLike,
        doc_id: Key,
        *,
        embeddings: str | None = None,
        content_column: str | None = None,
        document_tokens: Sequence[TokenText] | None = None,
    ) -> Steps[Explanation]:
        """Which token of a document answered each token of the query: ``colbert.maxsim_matches``.

        With an encoder, the matches carry the texts of their tokens: of the query if that is text,
        of the document if ``content_column`` holds what was encoded. Default: the text that the
        index names, a column or an expression, else ``content``. Of a picture, ``document_tokens``
        says what its vectors stand for: :meth:`Encoder.picture_tokens`.

        Raises:
            DocumentMissing: if there is no document with that key.
            ModelMismatch, EncoderMissing: as :meth:`search`.
        """
        vectors = yield from self._query(source, query, embeddings, fresh=True)
        table = yield from self._known.source(source)
        key = Cast(doc_id, table.key_type(embeddings))
        arguments = {"doc_id": key, "query": vectors, "source": source}
        if embeddings is not None:
            arguments["embeddings"] = embeddings
        matches: sql.Composable = sql.SQL("(SELECT NULL, NULL, NULL WHERE false)")
        if vectors is not None:
            matches = call_sql("maxsim_matches", arguments)
        from_document = sql.SQL("FROM {} d WHERE d.{} = {}").format(
            quoted(*table.identifier), quoted(table.key(embeddings)), placeholder("doc_id", key)
        )
        content: sql.Composable = sql.NULL
        index = table.index(embeddings)
        if content_column is None:
            content_column = "content" if index is None else index.text
        if content_column in table.columns:
            content = sql.SQL("(SELECT d.{} {})").format(quoted(content_column), from_document)
        elif index is not None and content_column == (index.options or {}).get("text"):
            content = sql.SQL("(SELECT colbert.document_text({}, d.{}::text, {}) {})").format(
                placeholder("source", source),
                quoted(table.key(embeddings)),
                sql.Literal(index.embeddings),
                from_document,
            )
        rows = yield Query(
            sql.SQL(
                "SELECT EXISTS (SELECT {}), {}, m.* FROM (SELECT) AS one LEFT JOIN {}"
                " AS m (query_position, document_position, similarity) ON true"
                " ORDER BY m.query_position"
            ).format(from_document, content, matches),
            parameters(arguments),
        )
        is_there, text = rows[0][:2]
        if not is_there:
            raise DocumentMissing(source, doc_id)
        query_tokens = self._tokens("query_tokens", query)
        if document_tokens is None:
            document_tokens = self._tokens("document_tokens", text)
        found = [
            Match(q, _at(query_tokens, q), d, _at(document_tokens, d), similarity)
            for _, _, q, d, similarity in rows
            if q is not None
        ]
        return Explanation(doc_id, sum(match.similarity for match in found), found, text)

    def _found(
        self, table: Source, encoded: bool, columns: Sequence[str], search: Query
    ) -> Steps[list[tuple[Any, ...]]]:
        """The rows of a search, each with the values of the columns at its end.

        For a query that was ``encoded`` here, the model that the index remembers comes with the
        rows: an index may be made anew, of another model, after the last look at it.
        """
        if columns:
            search = yield from self._with_columns(table, columns, search)
        index = table.index(search.parameters.get("embeddings"))
        if index is None or not encoded:
            rows = yield search
            return list(rows)
        rows = yield Query(
            sql.SQL("SELECT h.*, {} FROM ({}) AS h").format(sql.SQL(OPTIONS_NOW), search.statement),
            {**search.parameters, "indexed": index.embeddings},
            search.binary,
        )
        if rows:
            now = replace(index, options=rows[0][-1])
            self._refuse_other_model(search.parameters["source"], now)
        return [tuple(row[:-1]) for row in rows]

    def _with_columns(self, table: Source, columns: Sequence[str], search: Query) -> Steps[Query]:
        """A search whose rows are joined to those that it has found, in the same statement."""
        require_keys("columns", columns)
        if not all(name in table.columns for name in columns):  # it may have been added since
            source = search.parameters["source"]
            table = yield from self._known.source(source, fresh=True)
        types = yield from self._known.vector_types()
        arrays = (types.vector_array, types.halfvec_array)
        embeddings = search.parameters.get("embeddings")
        statement = sql.SQL(
            "SELECT (h.found).*, {columns} FROM (SELECT s AS found, row_number() OVER () AS place"
            " FROM ({search}) AS s) AS h JOIN {table} AS d ON d.{key} = (h.found).doc_id::{type}"
            " ORDER BY h.place"
        ).format(
            columns=sql.SQL(", ").join(sql.SQL("d.{}").format(quoted(name)) for name in columns),
            search=search.statement,
            table=quoted(*table.identifier),
            key=quoted(table.key(embeddings)),
            type=verbatim(table.key_type(embeddings)),
        )
        binary = any(table.column(name).type in arrays for name in columns)
        return Query(statement, search.parameters, binary)


def _key_type(table: Source, embeddings: str | None) -> str | None:
    """The type of an index's key; None where there is no index."""
    return None if table.index(embeddings) is None else table.key_type(embeddings)


def _at(tokens: Sequence[TokenText], position: int) -> TokenText | None:
    return tokens[position - 1] if 0 < position <= len(tokens) else None
