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

What the clients do is declared once, for both, in ``_indexes``, ``_documents`` and ``_searching``;
``_operation`` says how. What stands here is how each client carries them out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from colbert_pg._arguments import require_connection, require_encoder
from colbert_pg._cursors import own_async_cursor, own_cursor
from colbert_pg.client._core import Known
from colbert_pg.client._documents import DocumentOperations
from colbert_pg.client._indexes import IndexOperations
from colbert_pg.client._operation import Compute, Copy, Install, Query, Step, Steps, give_operations
from colbert_pg.client._results import (
    Explanation,
    Hit,
    HybridHit,
    Key,
    Match,
    ParentHit,
    Problem,
    Recall,
    Stage,
    Trial,
)
from colbert_pg.client._searching import SearchOperations
from colbert_pg.encoding import TextEncoder, TokenText
from colbert_pg.errors import translated
from colbert_pg.install import install, install_async
from colbert_pg.vectors import register

__all__ = [
    "AsyncClient",
    "Client",
    "Explanation",
    "Hit",
    "HybridHit",
    "Key",
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


class Client(IndexOperations, DocumentOperations, SearchOperations):
    """Installs, indexes, adds, searches and explains on a connection.

    Args:
        connection: any psycopg 3 connection; its row factory and adapters stay as they are.
        encoder: turns text into token vectors; without one, vectors go in instead of text. The
            vectors of queries are remembered; see :class:`colbert_pg.QueryCache`.

    Every method may raise :class:`psycopg.Error`, and
    :class:`~colbert_pg.errors.NotInstalled` where the database lacks pgvector or colbert_pg.

    Raises:
        TypeError: for what is no such connection or no encoder.
    """

    def __init__(
        self, connection: psycopg.Connection[Any], encoder: TextEncoder | None = None
    ) -> None:
        require_connection(connection, psycopg.Connection, "Client")
        require_encoder(encoder, "Client")
        super().__init__(encoder)
        self.connection = connection

    def _run(self, steps: Steps[_T]) -> _T:
        answer: Any = None
        with _reported(self._known):
            while True:
                try:
                    step = steps.send(answer)
                except StopIteration as finished:
                    result: _T = finished.value
                    return result
                answer = self._take(step)

    def _take(self, step: Step) -> Any:
        if isinstance(step, Compute):
            return step.work()
        if isinstance(step, Install):
            return install(self.connection)
        with own_cursor(self.connection) as cursor:
            _prepare(cursor, self._known)
            if isinstance(step, Query):
                if step.commits:
                    _require_autocommit(self.connection)
                cursor.execute(step.statement, step.parameters, binary=step.binary)
                return cursor.fetchall() if cursor.description else []
            with cursor.copy(step.statement) as copy:
                copy.set_types(_copy_types(cursor, step))
                for row in step.rows:
                    copy.write_row(row)
            return cursor.rowcount


class AsyncClient(IndexOperations, DocumentOperations, SearchOperations):
    """:class:`Client` on an asynchronous connection; texts are encoded in a thread."""

    def __init__(
        self, connection: psycopg.AsyncConnection[Any], encoder: TextEncoder | None = None
    ) -> None:
        require_connection(connection, psycopg.AsyncConnection, "AsyncClient")
        require_encoder(encoder, "AsyncClient")
        super().__init__(encoder)
        self.connection = connection

    async def _run(self, steps: Steps[_T]) -> _T:
        answer: Any = None
        with _reported(self._known):
            while True:
                try:
                    step = steps.send(answer)
                except StopIteration as finished:
                    result: _T = finished.value
                    return result
                answer = await self._take(step)

    async def _take(self, step: Step) -> Any:
        if isinstance(step, Compute):
            return await asyncio.to_thread(step.work)
        if isinstance(step, Install):
            return await install_async(self.connection)
        async with own_async_cursor(self.connection) as cursor:
            _prepare(cursor, self._known)
            if isinstance(step, Query):
                if step.commits:
                    _require_autocommit(self.connection)
                await cursor.execute(step.statement, step.parameters, binary=step.binary)
                return await cursor.fetchall() if cursor.description else []
            async with cursor.copy(step.statement) as copy:
                copy.set_types(_copy_types(cursor, step))
                for row in step.rows:
                    await copy.write_row(row)
            return cursor.rowcount


def _at_once(steps: Callable[..., Steps[Any]]) -> Any:
    def function(self: Client, /, *args: Any, **kwargs: Any) -> Any:
        return self._run(steps(self, *args, **kwargs))

    return function


def _awaited(steps: Callable[..., Steps[Any]]) -> Any:
    async def function(self: AsyncClient, /, *args: Any, **kwargs: Any) -> Any:
        return await self._run(steps(self, *args, **kwargs))

    return function


give_operations(Client, _at_once)
give_operations(AsyncClient, _awaited)


@contextmanager
def _reported(known: Known) -> Iterator[None]:
    """What was looked up may be why a call failed: look again next time."""
    try:
        with translated():
            yield
    except Exception:
        known.forget()
        raise


def _require_autocommit(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    if not connection.autocommit or connection.info.transaction_status != TransactionStatus.IDLE:
        raise ValueError(
            "this commits as it goes: it needs a connection in autocommit mode that is in no "
            "transaction"
        )


def _prepare(cursor: psycopg.Cursor[Any] | psycopg.AsyncCursor[Any], known: Known) -> None:
    """Vectors in binary, on this cursor alone."""
    if known.types is not None:
        register(cursor, known.types)


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
