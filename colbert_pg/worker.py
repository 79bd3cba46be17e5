"""Encodes pending documents: rows with a text or a picture and no array.

The index names the column, by its option ``text`` or ``pictures``.

Which documents are pending, which worker is at which, what has failed and when it is due again is
the business of SQL functions (``claim_pending``, ``claim_pictures``, ``store_encoded``,
``report_failure``); any client in any language can be a worker. This one waits for a notification,
takes a batch, encodes it, and stores each document in a transaction of its own. No transaction is
open while it encodes.

Queries that somebody waits for (``encode_query``) come before documents: they are answered at once
while the worker waits, and between two batches while it is at work.
"""

from __future__ import annotations

import logging
import os
import socket
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

import numpy as np
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from colbert_pg._cursors import own_cursor
from colbert_pg.catalog import Index, VectorTypes, encoded_indexes, vector_types
from colbert_pg.encoding import (
    TextEncoder,
    fingerprint_of,
    open_picture,
    picture_below,
    pool,
    same_model,
    takes_pictures,
    takes_texts,
)
from colbert_pg.errors import ModelMismatch
from colbert_pg.vectors import Matrix, TokenArray, register

if TYPE_CHECKING:
    from PIL.Image import Image

CHANNEL = "colbert_pending"
QUERIES = "colbert_query"
MAINTENANCE = 60  # seconds from one look at what is due for the indexes to the next
FORGETTING = 600  # seconds from one clearing away of old queries to the next
PICTURES = 8  # at once, at the most: decoded, a large one takes 150 MB

_log = logging.getLogger(__name__)


class Done(NamedTuple):
    """What became of documents that a worker took.

    ``outdated`` ones had another text or picture by the time they were encoded, or vectors: not a
    failure, and pending again if there is anything left to do.
    """

    encoded: int = 0
    failed: int = 0
    outdated: int = 0

    def plus(self, other: Done) -> Done:
        return Done(*(mine + its for mine, its in zip(self, other, strict=True)))


class Worker:
    """Encodes what is pending, on a connection of its own.

    Args:
        connection: in autocommit mode.
        encoder: turns texts into vectors; its fingerprint becomes the model of an index that does
            not know one yet, if the worker is the owner of the table.
        sources: the tables to work for, as SQL writes them. Default: all whose index names a text
            column or one of pictures that this worker can encode, has vectors of this model, and
            may be written by this role.
        batch: how many documents to take at once; of pictures no more than eight.
        lease: for how long they are this worker's. Long enough for a batch; after it, others may
            take what this worker has lost.
        name: how the worker is called in ``colbert.workers``.
        maintain: whether :meth:`run` does what is due for the indexes of its role when there is
            nothing to encode, as ``colbert.maintain`` does. What comes in waits for one of its
            steps: seconds, or minutes where a large index is trained.
        pictures: the directory that paths of pictures in tables are relative to, and must not lead
            out of. Without it the worker takes no index of paths.

    Trouble with one table, such as missing rights or an index that is dropped at work, is logged
    and keeps the worker from no other; ``troubled`` has the names of those tables since
    :meth:`drain` last began.

    Raises:
        ValueError: if the connection is not in autocommit mode.
    """

    _in_transaction = False  # whether it may work in one, where it shows nobody what it takes

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        encoder: TextEncoder,
        sources: Sequence[str] | None = None,
        *,
        batch: int = 32,
        lease: timedelta = timedelta(minutes=5),
        name: str | None = None,
        maintain: bool = True,
        pictures: Path | None = None,
    ) -> None:
        if not (connection.autocommit or self._in_transaction):
            raise ValueError("a worker needs a connection in autocommit mode")
        self.connection = connection
        self.encoder = encoder
        self.sources = sources
        self.batch = batch
        self.lease = lease
        self.name = name or f"{socket.gethostname()}:{os.getpid()}"
        self.maintain = maintain
        self.pictures = pictures
        self.troubled: set[str] = set()
        self._types: VectorTypes | None = None
        self._begun = False
        self._stopping = False
        self._waiting = False
        self._maintaining = False
        self._next_maintenance = 0.0
        self._known: list[Index] = []  # the indexes of the last look
        self._next_forgetting = 0.0

    def run(self, poll: float = 30) -> Done:
        """Encode until :meth:`stop`: when documents are written, and every ``poll`` seconds.

        Raises:
            ModelMismatch: if a table of ``sources`` has vectors of another model from the first, or
                all of them have.
            ValueError, psycopg.Error: in the same way, for tables without such an index and tables
                that are not there.
            psycopg.OperationalError: if the connection is lost; nothing else is.
        """
        done = Done()
        try:
            for channel in (CHANNEL, QUERIES):
                self.connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            while not self._stopping:
                done = done.plus(self.drain())
                done = done.plus(self._maintain())
                self._forget_queries()
                self._wait(min(poll, self._next_retry(poll)))
        except _Stopped:
            pass
        return done

    def drain(self) -> Done:
        """Encode all that is due; leaves what other workers are at and what waits after a failure.

        Raises:
            As :meth:`run`.
        """
        done = Done()
        self.troubled.clear()
        waiting = True
        while waiting and not self._stopping:  # one batch of each in turn: none has to wait long
            waiting = False
            self._known = self._in_order()
            for index in self._known:
                self._answer_queries()
                with self._apart(index.source):
                    if not self._stopping and (documents := self._claim(index)):
                        for finished in self._work(index, documents):
                            done = done.plus(finished)
                        waiting = True
        return done

    def stop(self) -> None:
        """End after the batch in hand: for a signal handler."""
        self._stopping = True
        if self._maintaining:
            self.connection.cancel()  # whoever is next goes on with it
        if self._waiting:
            raise _Stopped

    def indexes(self) -> list[Index]:
        """The indexes that this worker works for.

        Raises:
            ModelMismatch: if a table of ``sources`` has vectors of another model.
            ValueError: if it has no such index, or this worker cannot encode what it names.
            NotInstalled: if the database lacks colbert_pg.
        """
        if self._types is None:
            self._types = vector_types(self.connection)
        return self._of_model(self.sources)

    def _of_model(self, sources: Sequence[str] | None) -> list[Index]:
        found = encoded_indexes(self.connection, sources)
        model = fingerprint_of(self.encoder)
        if sources is None:
            return [
                index
                for index in found
                if same_model(index.model, model) and self._problem(index) is None
            ]
        for index in found:
            if not same_model(index.model, model):
                raise ModelMismatch(index.source, index.model or {}, model)
            if (problem := self._problem(index)) is not None:
                raise ValueError(problem)
        return found

    def _problem(self, index: Index) -> str | None:
        """Why this worker cannot encode what an index names, if it cannot."""
        if index.pictures is None and not takes_texts(self.encoder):
            return f"table {index.source} is of texts, and the model takes pictures alone"
        if index.pictures is not None and not takes_pictures(self.encoder):
            return f"table {index.source} is of pictures, and the model takes none"
        if index.paths and self.pictures is None:
            return (
                f"the pictures of table {index.source} are paths: "
                "name the directory that they are in (--pictures)"
            )
        return None

    def _in_order(self) -> list[Index]:
        """The indexes, without those of ``sources`` that have got into trouble at work."""
        if self.sources is None or not self._begun:
            found = self.indexes()
            self._begun = True
            return found
        found = []
        for source in self.sources:
            with self._apart(source):
                found += self._of_model([source])
        return found or self.indexes()  # which says what is wrong

    @contextmanager
    def _apart(self, source: str) -> Iterator[None]:
        """What goes wrong with a table is logged, and no end of the work for others."""
        try:
            yield
        except (psycopg.Error, ModelMismatch, ValueError) as error:
            if self.connection.broken:
                raise
            _log.warning("%s: %s", source, _message(error))
            self.troubled.add(source)

    def _claim(self, index: Index) -> list[tuple[str, str]]:
        claim: LiteralString = "claim_pending" if index.pictures is None else "claim_pictures"
        return self._rows(
            f"SELECT c.doc_id, c.content FROM colbert.{claim}(%(source)s, %(batch)s::int4,"
            " %(lease)s::interval, %(model)s::jsonb, %(worker)s, %(embeddings)s) AS c",
            index,
            batch=self.batch if index.pictures is None else min(self.batch, PICTURES),
            lease=self.lease,
            model=Jsonb(fingerprint_of(self.encoder)),
        )

    def _work(self, index: Index, documents: Sequence[tuple[str, str]]) -> Iterator[Done]:
        started = perf_counter()
        done = Done()
        for doc_id, content, encoded in self._encode(index, documents):
            finished = self._finish(index, doc_id, content, encoded)
            done = done.plus(finished)
            yield finished
        _log.info(
            "%s: %d encoded, %d failed, %d outdated, %.1f s",
            index.source,
            *done,
            perf_counter() - started,
        )

    def _encode(
        self, index: Index, documents: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[str, str, TokenArray | Exception]]:
        """Vectors or an error for each document; one that cannot be encoded spoils no other."""
        if index.pictures is None:
            contents = [content for _, content in documents]
            yield from self._encode_all(documents, contents, self.encoder.encode_documents)
        elif takes_pictures(self.encoder):
            readable, pictures = [], []
            for document in documents:
                try:
                    pictures.append(self._picture(index, *document))
                    readable.append(document)
                except Exception as error:
                    if self.connection.broken:
                        raise
                    yield (*document, error)
            if pictures:
                yield from self._encode_all(readable, pictures, self.encoder.encode_pictures)

    def _picture(self, index: Index, doc_id: str, content: str) -> Image:
        if index.paths and self.pictures is not None:
            return open_picture(picture_below(self.pictures, content))
        with self._savepoint():
            ((picture,),) = self._rows(
                "SELECT colbert.read_picture(%(source)s, %(doc_id)s, %(content)s, %(embeddings)s)",
                index,
                doc_id=doc_id,
                content=content,
            )
        if picture is None:
            raise LookupError("there is another picture by now")
        return open_picture(bytes(picture))

    def _encode_all(
        self,
        documents: Sequence[tuple[str, str]],
        contents: Sequence[Any],
        encode: Callable[[Sequence[Any]], Sequence[Matrix]],
    ) -> list[tuple[str, str, TokenArray | Exception]]:
        try:
            arrays = self._arrays(documents, contents, encode)
        except Exception as error:
            if len(documents) == 1:
                return [(*documents[0], error)]
            return [
                encoded
                for document, content in zip(documents, contents, strict=True)
                for encoded in self._encode_all([document], [content], encode)
            ]
        return [(*document, array) for document, array in zip(documents, arrays, strict=True)]

    def _arrays(
        self,
        documents: Sequence[tuple[str, str]],
        contents: Sequence[Any],
        encode: Callable[[Sequence[Any]], Sequence[Matrix]],
    ) -> list[TokenArray]:
        """What the encoder makes of documents, if it is an array for each."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            matrices = encode(contents)
        if len(matrices) != len(documents):
            raise ValueError(
                f"the encoder made {len(matrices)} arrays of {len(documents)} documents"
            )
        arrays = [TokenArray(matrix) for matrix in matrices]
        for doc_id in sorted(
            documents[place][0]
            for warning in caught
            for place in getattr(warning.message, "positions", ())
        ):
            _log.warning("document %s is longer than the model reads: its end is left out", doc_id)
        return arrays

    def _finish(
        self, index: Index, doc_id: str, content: str, encoded: TokenArray | Exception
    ) -> Done:
        error = encoded if isinstance(encoded, Exception) else None
        if not isinstance(encoded, Exception):
            try:
                stage = _first_stage(index, encoded.matrix)
                more: LiteralString = "" if stage is None else ", first_stage => %(stage)s"
                with self._savepoint():
                    ((stored,),) = self._rows(
                        "SELECT colbert.store_encoded(%(source)s, %(doc_id)s, %(content)s,"
                        f" %(vectors)s, %(worker)s, %(embeddings)s{more})",
                        index,
                        doc_id=doc_id,
                        content=content,
                        vectors=encoded,
                        stage=stage,
                    )
                return Done(encoded=1) if stored else Done(outdated=1)
            except Exception as refused:
                if self.connection.broken:
                    raise
                error = refused
        ((due,),) = self._rows(
            "SELECT colbert.report_failure(%(source)s, %(doc_id)s, %(content)s, %(error)s,"
            " %(worker)s, %(embeddings)s)",
            index,
            doc_id=doc_id,
            content=content,
            error=_message(error),
        )
        if due is None:  # the error is about what is not there any more
            return Done(outdated=1)
        _log.warning("document %s: %s", doc_id, _message(error))
        return Done(failed=1)

    def _savepoint(self) -> AbstractContextManager[Any]:
        """What goes wrong in it is no end of a transaction that the worker works in."""
        return nullcontext() if self.connection.autocommit else self.connection.transaction()

    def _maintain(self) -> Done:
        """What is due for the indexes that the role owns; what cannot be done is logged.

        It is done as ``colbert.maintain`` does it, a step at a time, and what comes in meanwhile is
        encoded in between.
        """
        done = Done()
        if not self.maintain or self._stopping or monotonic() < self._next_maintenance:
            return done

        def log(notice: psycopg.errors.Diagnostic) -> None:
            if notice.severity_nonlocalized == "WARNING":
                _log.warning("%s", notice.message_primary)

        self.connection.add_notice_handler(log)
        try:
            for index_id in self._maintenance("colbert._due_indexes()"):
                self._maintenance("colbert._maintain(%s)", index_id)
                while not self._stopping:
                    pause = self._maintenance("colbert._maintain_step(%s)", index_id)
                    if pause is None:
                        break
                    done = done.plus(self.drain())
                    sleep(pause)
        except psycopg.Error as error:
            if self.connection.broken:
                raise
            if not self._stopping:
                _log.warning("maintaining indexes: %s", _message(error))
        finally:
            self._next_maintenance = monotonic() + MAINTENANCE
            self.connection.remove_notice_handler(log)
        return done

    def _maintenance(self, call: LiteralString, *arguments: int) -> Any:
        """What a function of maintenance returns; :meth:`stop` ends it."""
        self._maintaining = True
        try:
            with own_cursor(self.connection) as cursor:
                ((answer,),) = cursor.execute(f"SELECT {call}", arguments).fetchall()
            return answer
        finally:
            self._maintaining = False

    def _next_retry(self, poll: float) -> float:
        """Seconds until the first document that failed is due again."""
        seconds = [poll]
        for index in self._in_order():
            with self._apart(index.source):
                rows = self._rows(
                    "SELECT extract(epoch FROM min(f.retry_at) - statement_timestamp())::float8"
                    "  FROM colbert.failures(%(source)s::pg_catalog.regclass) AS f"
                    " WHERE f.embeddings = %(embeddings)s",
                    index,
                )
                seconds += [row[0] for row in rows if row[0] is not None]
        return max(1.0, min(seconds))

    def _wait(self, seconds: float) -> None:
        self._waiting = True
        try:
            end = monotonic() + seconds
            while not self._stopping and (left := end - monotonic()) > 0:
                heard = {n.channel for n in self.connection.notifies(timeout=left, stop_after=1)}
                if QUERIES in heard:
                    self._waiting = False
                    self._answer_queries()
                    self._waiting = True
                if CHANNEL in heard:
                    break
        finally:
            self._waiting = False

    def _answer_queries(self) -> None:
        """Encode the queries that somebody waits for; those of one model together."""
        if not self.connection.autocommit:
            return
        for index in self._known:
            with self._apart(index.source):
                while queries := self._rows(
                    "SELECT q.id, q.query_text FROM colbert.claim_queries(%(source)s,"
                    " %(batch)s::int4, model => %(model)s::jsonb,"
                    " embeddings => %(embeddings)s) AS q",
                    index,
                    batch=self.batch,
                    model=Jsonb(fingerprint_of(self.encoder)),
                ):
                    for query_id, encoded in self._encode_queries(queries):
                        self._answer(index, query_id, encoded)

    def _encode_queries(self, queries: Sequence[tuple[Any, str]]) -> list[tuple[Any, Any]]:
        """Vectors or an error for each query; one that cannot be encoded spoils no other."""
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                matrices = self.encoder.encode_queries([text for _, text in queries])
            if len(matrices) != len(queries):
                raise ValueError(f"the encoder made {len(matrices)} arrays of {len(queries)} texts")
            answers: list[Any] = [TokenArray(matrix) for matrix in matrices]
        except Exception as error:
            if len(queries) == 1:
                return [(queries[0][0], error)]
            return [answer for query in queries for answer in self._encode_queries([query])]
        for warning in caught:
            for place in getattr(warning.message, "positions", ()):
                answers[place] = ValueError("it is longer than the model reads")
        return [(query_id, answer) for (query_id, _), answer in zip(queries, answers, strict=True)]

    def _answer(self, index: Index, query_id: Any, encoded: TokenArray | Exception) -> None:
        if not isinstance(encoded, Exception):
            try:
                self._rows(
                    "SELECT colbert.store_query(%(id)s, %(vectors)s)",
                    index,
                    id=query_id,
                    vectors=encoded,
                )
                return
            except Exception as refused:
                if self.connection.broken:
                    raise
                encoded = refused
        self._rows(
            "SELECT colbert.report_query_failure(%(id)s, %(error)s)",
            index,
            id=query_id,
            error=_message(encoded),
        )

    def _forget_queries(self) -> None:
        """Clear away queries that are old, or that nobody waits for any more."""
        if self._stopping or monotonic() < self._next_forgetting:
            return
        for index in self._known:
            with self._apart(index.source):
                self._rows(
                    "SELECT colbert.forget_queries(%(source)s, embeddings => %(embeddings)s)", index
                )
        self._next_forgetting = monotonic() + FORGETTING

    def _rows(self, statement: Any, index: Index, **parameters: Any) -> list[tuple[Any, ...]]:
        with own_cursor(self.connection) as cursor:
            if self._types is not None:
                register(cursor, self._types)
            return cursor.execute(
                statement,
                {
                    **parameters,
                    "source": index.source,
                    "embeddings": index.embeddings,
                    "worker": self.name,
                },
            ).fetchall()


def _first_stage(index: Index, vectors: Matrix) -> TokenArray | None:
    """What a worker stores in the column of a first stage, if it fills one."""
    if index.first_stage is None:
        return None
    if index.first_stage.pool != 1:
        vectors = pool(vectors, index.first_stage.pool)
    first = vectors[:, : index.first_stage.dimensions]
    if first.shape != vectors.shape:
        first = first / np.linalg.norm(first, axis=1, keepdims=True)
    return TokenArray(first)


class _Stopped(Exception):  # noqa: N818
    """A worker that waits is to end."""


def _message(error: Exception | None) -> str:
    """What went wrong, as the database can keep it; of a database error, what its server said."""
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return (primary or str(error) or type(error).__name__).replace("\0", "")
