"""Late interaction search on a psycopg 3 connection of yours.

A client holds no connection of its own, opens no transaction, commits nothing and rolls nothing
back. There is no ranking here: every method is one call of a SQL function, whose errors come
through as psycopg raises them, with SQLSTATE, detail and hint. On the first use of a database and
of a source, their types are looked up and kept.

    client = Client(connection, Encoder.default())
    client.create_index("documents")
    client.add("documents", texts)
    for hit in client.search("documents", "who wrote the first compiler?"):
        print(hit.doc_id, hit.score)

Names of sources are written as in SQL: ``documents``, ``app.documents``, ``"My table"``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy.typing as npt
import psycopg

from colbert_pg.arguments import require_connection, require_encoder
from colbert_pg.cursors import own_async_cursor, own_cursor
from colbert_pg.errors import translated
from colbert_pg.install import install, install_async
from colbert_pg.operations import (
    Compute,
    Copy,
    Explanation,
    Hit,
    HybridHit,
    Key,
    Match,
    Operation,
    Operations,
    ParentHit,
    Problem,
    Query,
    Recall,
    Stage,
    Step,
    TextEncoder,
    TokenText,
    Trial,
)
from colbert_pg.query_cache import cached
from colbert_pg.vectors import Matrix, register

__all__ = [
    "AsyncClient",
    "Client",
    "Explanation",
    "Hit",
    "HybridHit",
    "Match",
    "ParentHit",
    "Problem",
    "Recall",
    "Stage",
    "TextEncoder",
    "TokenText",
    "Trial",
]

_T = TypeVar("_T")
_TEXT = 25  # pg_type.oid, fixed in every PostgreSQL


class Client:
    """Installs, indexes, adds, searches and explains on a connection.

    Args:
        connection: any psycopg 3 connection; its row factory and adapters stay as they are.
        encoder: turns text into token vectors; without one, vectors go in instead of text. The
            vectors of queries are remembered; see :class:`~colbert_pg.query_cache.QueryCache`.

    Every method may raise :class:`psycopg.Error`, and
    :class:`~colbert_pg.errors.NotInstalled` where the database lacks pgvector or colbert_pg.
    """

    def __init__(
        self, connection: psycopg.Connection[Any], encoder: TextEncoder | None = None
    ) -> None:
        require_connection(connection, psycopg.Connection, "Client")
        require_encoder(encoder, "Client")
        self.connection = connection
        self.encoder = encoder
        self._operations = Operations(None if encoder is None else cached(encoder))

    def install(self) -> None:
        """Install or upgrade colbert_pg; see :func:`colbert_pg.install.install`."""
        install(self.connection)
        self._operations.database.forget()

    def create_index(
        self,
        source: str,
        embeddings: str = "embeddings",
        *,
        method: str | None = None,
        options: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> None:
        """Index the token vectors of a table: ``colbert.create_index``.

        With an encoder, the index remembers its fingerprint (``options["model"]``), and text is
        never searched in, or added to, vectors of another model.
        """
        self._run(self._operations.create_index(source, embeddings, method, options, key))

    def drop_index(self, source: str, embeddings: str | None = None) -> None:
        """Drop an index, not its source: ``colbert.drop_index``."""
        self._run(self._operations.drop_index(source, embeddings))

    def reindex(self, source: str, embeddings: str | None = None) -> None:
        """Build an index anew: ``colbert.reindex``."""
        self._run(self._operations.reindex(source, embeddings))

    def check_index(self, source: str, embeddings: str | None = None) -> list[Problem]:
        """Every difference between an index and its source: ``colbert.check_index``."""
        return self._run(self._operations.check_index(source, embeddings))

    def repair_index(self, source: str, embeddings: str | None = None) -> int:
        """Mend those differences; returns the number of documents: ``colbert.repair_index``."""
        return self._run(self._operations.repair_index(source, embeddings))

    def measure_recall(
        self,
        source: str,
        queries: str | None = None,
        *,
        k: int = 10,
        sample: int = 50,
        candidates: int | None = None,
        embeddings: str | None = None,
        query_column: str | None = None,
        filter: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Recall:
        """Recall and latency of an index against exact search: ``colbert.measure_recall``.

        Args:
            source: the table.
            queries: a table or view with a column of token-vector arrays. Default: queries drawn
                from the documents.
            k: of how many best documents a share is found.
            sample: how many of the queries are tried; each is searched exactly, too.
            candidates: as in :meth:`search`.
            embeddings: the indexed column. Default: the only one.
            query_column: the column of ``queries``. Default: the only one of its type.
            filter, params: of the searches, as in :meth:`search`.
        """
        return self._run(
            self._operations.measure_recall(
                source,
                queries,
                k=k,
                sample=sample,
                candidates=candidates,
                embeddings=embeddings,
                query_column=query_column,
                filter=filter,
                params=params,
            )
        )

    def tune(
        self,
        source: str,
        target_recall: float = 0.95,
        queries: str | None = None,
        *,
        k: int = 10,
        sample: int = 50,
        embeddings: str | None = None,
        query_column: str | None = None,
        filter: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> list[Trial]:
        """Try settings, keep the fastest that reaches the target: ``colbert.tune``.

        Returns:
            What was tried, fastest first. None of them is chosen where none reaches the target.
        """
        return self._run(
            self._operations.tune(
                source,
                target_recall,
                queries,
                k=k,
                sample=sample,
                embeddings=embeddings,
                query_column=query_column,
                filter=filter,
                params=params,
            )
        )

    def indexes(self) -> list[dict[str, Any]]:
        """All indexes of the database: a dict per row of the view ``colbert.indexes``."""
        return self._run(self._operations.indexes())

    def add(
        self,
        source: str,
        contents: Sequence[str] | None = None,
        *,
        keys: Sequence[Key] | None = None,
        columns: Mapping[str, Sequence[Any]] | None = None,
        embeddings: Sequence[npt.ArrayLike | None] | None = None,
        content_column: str = "content",
        embeddings_column: str | None = None,
        key_column: str | None = None,
        offsets_column: str | None = None,
        progress: bool = False,
    ) -> int:
        """Add documents in bulk, by one binary COPY.

        Args:
            source: the table.
            contents: the texts, for ``content_column``; encoded unless ``embeddings`` are given.
            keys: one per document, where the table does not make them.
            columns: values of other columns, by name, of the Python types that psycopg has for
                them.
            embeddings: a float array (tokens, dimensions) per document, or None for NULL.
            content_column: where the texts go.
            embeddings_column: where the vectors go. Default: the indexed column, else
                ``embeddings``, else the only column of that type.
            key_column: where the keys go. Default: the key of the index, else the primary key.
            offsets_column: a column of type ``int4range[]`` for where in the text each vector
                stands, as SQL's ``substr`` counts; NULL for what the model adds.
            progress: show how far encoding is.

        Returns:
            The number of rows.

        Raises:
            ModelMismatch: if the index holds vectors of another model than the encoder's.
            EncoderMissing: for texts without vectors on a client without an encoder.
            ValueError: if the sequences differ in length, or a column does not exist; for offsets,
                if vectors are pooled or the model's tokenizer does not tell them.
        """
        return self._run(
            self._operations.add(
                source,
                contents,
                keys=keys,
                columns=columns,
                embeddings=embeddings,
                content_column=content_column,
                embeddings_column=embeddings_column,
                key_column=key_column,
                offsets_column=offsets_column,
                progress=progress,
            )
        )

    def embeddings(
        self, source: str, keys: Sequence[Key], embeddings: str | None = None
    ) -> list[Matrix | None]:
        """The stored token vectors of documents, in the order of ``keys``.

        Each is a float32 array (tokens, dimensions), good as a query for similar documents; None
        for a NULL array and for a key that is not there.
        """
        return self._run(self._operations.embeddings(source, keys, embeddings))

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
    ) -> list[Hit]:
        """The ``k`` best documents, best first, with their exact scores: ``colbert.search``.

        Args:
            source: the table.
            query: text, or an array (tokens, dimensions) of unit rows. Empty text finds nothing.
            k: how many documents.
            filter: a SQL condition over the columns of the source. It is run as SQL: values that
                come from elsewhere belong in ``params``.
            params: values for the condition, as ``params->>'name'``. Dates and uuids become
                their text, which the condition casts.
            candidates: how many documents of the index to score exactly. Default: the server's.
            exact: score every document, without the index.
            embeddings: the array column, where several are indexed.

        Raises:
            ModelMismatch: if the index holds vectors of another model than the encoder's.
            EncoderMissing: for text on a client without an encoder.
        """
        return self._run(
            self._operations.search(
                source,
                query,
                k=k,
                filter=filter,
                params=params,
                candidates=candidates,
                exact=exact,
                embeddings=embeddings,
            )
        )

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
    ) -> list[Stage]:
        """What each stage of that :meth:`search` does: ``colbert.explain_search``."""
        return self._run(
            self._operations.explain_search(
                source,
                query,
                k=k,
                filter=filter,
                params=params,
                candidates=candidates,
                exact=exact,
                embeddings=embeddings,
            )
        )

    def hybrid_search(
        self,
        source: str,
        query: str,
        *,
        vectors: npt.ArrayLike | None = None,
        k: int = 10,
        content: str | None = None,
        language: str | None = None,
        match: str | None = None,
        text_weight: float | None = None,
        constant: int | None = None,
        filter: str | None = None,
        params: Mapping[str, Any] | None = None,
        candidates: int | None = None,
        exact: bool = False,
        embeddings: str | None = None,
    ) -> list[HybridHit]:
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
            filter, params, candidates, exact, embeddings: as in :meth:`search`.

        Raises:
            ModelMismatch, EncoderMissing: as :meth:`search`.
        """
        return self._run(
            self._operations.hybrid_search(
                source,
                query,
                vectors=vectors,
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
            )
        )

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
    ) -> list[ParentHit]:
        """The ``k`` documents whose best chunk is best, where the rows are chunks of documents:
        ``colbert.search_parents``.

        Args:
            source: the table of chunks.
            query: text, or an array (tokens, dimensions) of unit rows.
            parent: the column that names the document of a chunk.
            k, filter, params, candidates, exact, embeddings: as in :meth:`search`.

        Raises:
            ModelMismatch, EncoderMissing: as :meth:`search`.
            ValueError: if there is no such column.
        """
        return self._run(
            self._operations.search_parents(
                source,
                query,
                parent,
                k=k,
                filter=filter,
                params=params,
                candidates=candidates,
                exact=exact,
                embeddings=embeddings,
            )
        )

    def rerank(
        self,
        source: str,
        query: str | npt.ArrayLike,
        ids: Sequence[Key],
        *,
        k: int | None = None,
        embeddings: str | None = None,
    ) -> list[Hit]:
        """Score the documents that another search found: ``colbert.rerank``.

        Args:
            source: the table.
            query: text, or an array (tokens, dimensions) of unit rows.
            ids: keys of documents.
            k: how many to return. Default: all.
            embeddings: the array column, where several are indexed.

        Raises:
            ModelMismatch, EncoderMissing: as :meth:`search`.
        """
        return self._run(self._operations.rerank(source, query, ids, k=k, embeddings=embeddings))

    def explain(
        self,
        source: str,
        query: str | npt.ArrayLike,
        doc_id: Key,
        *,
        embeddings: str | None = None,
        content_column: str = "content",
    ) -> Explanation:
        """Which token of a document answered each token of the query: ``colbert.maxsim_matches``.

        With an encoder, the matches carry the texts of their tokens: of the query if that is text,
        of the document if ``content_column`` holds what was encoded.

        Raises:
            DocumentMissing: if there is no document with that key.
            ModelMismatch, EncoderMissing: as :meth:`search`.
        """
        return self._run(
            self._operations.explain(
                source, query, doc_id, embeddings=embeddings, content_column=content_column
            )
        )

    def _run(self, operation: Operation[_T]) -> _T:
        answer: Any = None
        with _reported(self._operations):
            while True:
                try:
                    step = operation.send(answer)
                except StopIteration as finished:
                    result: _T = finished.value
                    return result
                answer = self._take(step)

    def _take(self, step: Step) -> Any:
        if isinstance(step, Compute):
            return step.work()
        with own_cursor(self.connection) as cursor:
            _prepare(cursor, self._operations)
            if isinstance(step, Query):
                cursor.execute(step.statement, step.parameters, binary=step.binary)
                return cursor.fetchall()
            with cursor.copy(step.statement) as copy:
                copy.set_types(_copy_types(cursor, step))
                for row in step.rows:
                    copy.write_row(row)
            return cursor.rowcount


class AsyncClient:
    """:class:`Client` on an asynchronous connection; texts are encoded in a thread."""

    def __init__(
        self, connection: psycopg.AsyncConnection[Any], encoder: TextEncoder | None = None
    ) -> None:
        require_connection(connection, psycopg.AsyncConnection, "AsyncClient")
        require_encoder(encoder, "AsyncClient")
        self.connection = connection
        self.encoder = encoder
        self._operations = Operations(None if encoder is None else cached(encoder))

    async def install(self) -> None:
        """See :meth:`Client.install`."""
        await install_async(self.connection)
        self._operations.database.forget()

    async def create_index(
        self,
        source: str,
        embeddings: str = "embeddings",
        *,
        method: str | None = None,
        options: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> None:
        """See :meth:`Client.create_index`."""
        await self._run(self._operations.create_index(source, embeddings, method, options, key))

    async def drop_index(self, source: str, embeddings: str | None = None) -> None:
        """See :meth:`Client.drop_index`."""
        await self._run(self._operations.drop_index(source, embeddings))

    async def reindex(self, source: str, embeddings: str | None = None) -> None:
        """See :meth:`Client.reindex`."""
        await self._run(self._operations.reindex(source, embeddings))

    async def check_index(self, source: str, embeddings: str | None = None) -> list[Problem]:
        """See :meth:`Client.check_index`."""
        return await self._run(self._operations.check_index(source, embeddings))

    async def repair_index(self, source: str, embeddings: str | None = None) -> int:
        """See :meth:`Client.repair_index`."""
        return await self._run(self._operations.repair_index(source, embeddings))

    async def measure_recall(
        self,
        source: str,
        queries: str | None = None,
        *,
        k: int = 10,
        sample: int = 50,
        candidates: int | None = None,
        embeddings: str | None = None,
        query_column: str | None = None,
        filter: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Recall:
        """See :meth:`Client.measure_recall`."""
        return await self._run(
            self._operations.measure_recall(
                source,
                queries,
                k=k,
                sample=sample,
                candidates=candidates,
                embeddings=embeddings,
                query_column=query_column,
                filter=filter,
                params=params,
            )
        )

    async def tune(
        self,
        source: str,
        target_recall: float = 0.95,
        queries: str | None = None,
        *,
        k: int = 10,
        sample: int = 50,
        embeddings: str | None = None,
        query_column: str | None = None,
        filter: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> list[Trial]:
        """See :meth:`Client.tune`."""
        return await self._run(
            self._operations.tune(
                source,
                target_recall,
                queries,
                k=k,
                sample=sample,
                embeddings=embeddings,
                query_column=query_column,
                filter=filter,
                params=params,
            )
        )

    async def indexes(self) -> list[dict[str, Any]]:
        """See :meth:`Client.indexes`."""
        return await self._run(self._operations.indexes())

    async def add(
        self,
        source: str,
        contents: Sequence[str] | None = None,
        *,
        keys: Sequence[Key] | None = None,
        columns: Mapping[str, Sequence[Any]] | None = None,
        embeddings: Sequence[npt.ArrayLike | None] | None = None,
        content_column: str = "content",
        embeddings_column: str | None = None,
        key_column: str | None = None,
        offsets_column: str | None = None,
        progress: bool = False,
    ) -> int:
        """See :meth:`Client.add`."""
        return await self._run(
            self._operations.add(
                source,
                contents,
                keys=keys,
                columns=columns,
                embeddings=embeddings,
                content_column=content_column,
                embeddings_column=embeddings_column,
                key_column=key_column,
                offsets_column=offsets_column,
                progress=progress,
            )
        )

    async def embeddings(
        self, source: str, keys: Sequence[Key], embeddings: str | None = None
    ) -> list[Matrix | None]:
        """See :meth:`Client.embeddings`."""
        return await self._run(self._operations.embeddings(source, keys, embeddings))

    async def search(
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
    ) -> list[Hit]:
        """See :meth:`Client.search`."""
        return await self._run(
            self._operations.search(
                source,
                query,
                k=k,
                filter=filter,
                params=params,
                candidates=candidates,
                exact=exact,
                embeddings=embeddings,
            )
        )

    async def explain_search(
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
    ) -> list[Stage]:
        """See :meth:`Client.explain_search`."""
        return await self._run(
            self._operations.explain_search(
                source,
                query,
                k=k,
                filter=filter,
                params=params,
                candidates=candidates,
                exact=exact,
                embeddings=embeddings,
            )
        )

    async def hybrid_search(
        self,
        source: str,
        query: str,
        *,
        vectors: npt.ArrayLike | None = None,
        k: int = 10,
        content: str | None = None,
        language: str | None = None,
        match: str | None = None,
        text_weight: float | None = None,
        constant: int | None = None,
        filter: str | None = None,
        params: Mapping[str, Any] | None = None,
        candidates: int | None = None,
        exact: bool = False,
        embeddings: str | None = None,
    ) -> list[HybridHit]:
        """See :meth:`Client.hybrid_search`."""
        return await self._run(
            self._operations.hybrid_search(
                source,
                query,
                vectors=vectors,
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
            )
        )

    async def search_parents(
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
    ) -> list[ParentHit]:
        """See :meth:`Client.search_parents`."""
        return await self._run(
            self._operations.search_parents(
                source,
                query,
                parent,
                k=k,
                filter=filter,
                params=params,
                candidates=candidates,
                exact=exact,
                embeddings=embeddings,
            )
        )

    async def rerank(
        self,
        source: str,
        query: str | npt.ArrayLike,
        ids: Sequence[Key],
        *,
        k: int | None = None,
        embeddings: str | None = None,
    ) -> list[Hit]:
        """See :meth:`Client.rerank`."""
        return await self._run(
            self._operations.rerank(source, query, ids, k=k, embeddings=embeddings)
        )

    async def explain(
        self,
        source: str,
        query: str | npt.ArrayLike,
        doc_id: Key,
        *,
        embeddings: str | None = None,
        content_column: str = "content",
    ) -> Explanation:
        """See :meth:`Client.explain`."""
        return await self._run(
            self._operations.explain(
                source, query, doc_id, embeddings=embeddings, content_column=content_column
            )
        )

    async def _run(self, operation: Operation[_T]) -> _T:
        answer: Any = None
        with _reported(self._operations):
            while True:
                try:
                    step = operation.send(answer)
                except StopIteration as finished:
                    result: _T = finished.value
                    return result
                answer = await self._take(step)

    async def _take(self, step: Step) -> Any:
        if isinstance(step, Compute):
            return await asyncio.to_thread(step.work)
        async with own_async_cursor(self.connection) as cursor:
            _prepare(cursor, self._operations)
            if isinstance(step, Query):
                await cursor.execute(step.statement, step.parameters, binary=step.binary)
                return await cursor.fetchall()
            async with cursor.copy(step.statement) as copy:
                copy.set_types(_copy_types(cursor, step))
                for row in step.rows:
                    await copy.write_row(row)
            return cursor.rowcount


@contextmanager
def _reported(operations: Operations) -> Iterator[None]:
    """What was looked up may be why a call failed: look again next time."""
    try:
        with translated():
            yield
    except Exception:
        operations.database.forget()
        raise


def _prepare(cursor: psycopg.Cursor[Any] | psycopg.AsyncCursor[Any], known: Operations) -> None:
    """Vectors in binary, on this cursor alone."""
    if known.database.types is not None:
        register(cursor, known.database.types)


def _copy_types(cursor: psycopg.Cursor[Any] | psycopg.AsyncCursor[Any], step: Copy) -> list[int]:
    """The types to write; text for those psycopg does not know, which suits enum and citext."""
    known = []
    for oid in step.types:
        try:
            cursor.adapters.get_dumper_by_oid(oid, psycopg.pq.Format.BINARY)
            known.append(oid)
        except psycopg.ProgrammingError:
            known.append(_TEXT)
    return known
