"""Documents from a file into a table of vectors: batch by batch, each a transaction of its own.

Whatever interrupts it, every document in the table is whole, and a second run goes on where the
first one ended: a document that is there with the same text is left alone, another text replaces
it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from rich.console import Console

from colbert_pg._cursors import rows as rows_of
from colbert_pg._statements import quoted, verbatim
from colbert_pg.catalog import vector_types
from colbert_pg.cli._lines import BadDocuments, Document
from colbert_pg.cli._pages import LoadedPages, load_pages
from colbert_pg.cli._table import PARENT, Table
from colbert_pg.client import Client
from colbert_pg.encoding import Chunk, TextEncoder, offsets
from colbert_pg.errors import ColbertError
from colbert_pg.vectors import HalfTokenArray, TokenArray, register

if TYPE_CHECKING:
    from rich.progress import Progress

    from colbert_pg.encoding import Encoder

BATCH = 128  # documents a transaction; encoders sort them by length in themselves


@dataclass(frozen=True)
class Loaded:
    """What became of rows: documents, or their chunks.

    ``truncated`` ones were longer than the model reads, ``removed`` chunks are those that a
    document does not have any more. ``left_out`` are names of fields that no column takes, and
    ``refused`` says of documents that were skipped what the database said.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    truncated: int = 0
    removed: int = 0
    left_out: frozenset[str] = frozenset()
    refused: tuple[str, ...] = ()

    def __add__(self, other: Loaded) -> Loaded:
        return Loaded(
            self.added + other.added,
            self.changed + other.changed,
            self.unchanged + other.unchanged,
            self.truncated + other.truncated,
            self.removed + other.removed,
            self.left_out | other.left_out,
            self.refused + other.refused,
        )


class _Row(NamedTuple):
    """A document on its way; without vectors where its text is stored with them already."""

    document: Document
    stored: bool
    vectors: TokenArray | None
    offsets: Sequence[Any] | None
    fields: Mapping[str, Any]


def _of(relation: str, names: Sequence[str]) -> list[sql.SQL]:
    return [quoted(relation, name) for name in names]


class Loader:
    """Brings documents into a table, encoding those that are new or changed.

    Args:
        target: the table, which is there.
        encoder: of the model that the index, if there is one, remembers.
        cut: makes chunks of a text, where the table is one of chunks.
        skip_bad: leave out documents with a field that does not fit its column.

    Raises:
        ModelMismatch: if the index holds vectors of another model.
    """

    def __init__(
        self,
        target: Table,
        encoder: TextEncoder,
        cut: Callable[[str], Sequence[Chunk]] | None = None,
        *,
        skip_bad: bool = False,
    ) -> None:
        target.refuse_other_model(encoder)
        table = target.source()
        assert table is not None
        self._target = target
        self._connection = target.connection
        self._client = Client(target.connection)
        self._encoder = encoder
        self._cut = cut
        self._skip_bad = skip_bad
        self._knows_text = False  # that the text of a stored row is the one that was encoded
        self._types = vector_types(target.connection)
        self._columns = table.columns
        self._kind = HalfTokenArray if (target.vectors() or (0, False))[1] else TokenArray
        self._has_offsets = target.has_offsets()
        self._has_chunks = target.has_chunks()
        # The columns that loading itself writes beside the key, and those that fields may have.
        self._written = {"content": "%(content)s", "embeddings": "%(embeddings)s"}
        if self._has_offsets:
            self._written["offsets"] = "%(offsets)s::pg_catalog.int4range[]"
        if self._has_chunks:
            self._written[PARENT] = f"%({PARENT})s"
        own = {"id", *self._written}
        self._free = {name for name, column in self._columns.items() if column.is_free} - own

    def load(
        self,
        documents: Iterable[Document],
        *,
        batch: int = BATCH,
        advance: Callable[[int], None] = lambda _: None,
    ) -> Loaded:
        """Load documents, each id once.

        Args:
            documents: what to load.
            batch: how many documents make a transaction.
            advance: called after each with the number of its documents.

        Raises:
            BadDocuments: at the first with a field that does not fit its column, unless such are
                left out.
            ColbertError: if the text of a row is another than was encoded: the index names another
                column, or an expression, or a trigger of the table writes it.
        """
        loaded = Loaded()
        remaining = iter(documents)
        while some := list(islice(remaining, batch)):
            loaded += self._load_batch(some)
            advance(len(some))
        return loaded

    def _load_batch(self, some: Sequence[Document]) -> Loaded:
        documents = [part for document in some for part in self._parts(document)]
        statement = sql.SQL(
            "SELECT d.id, d.content, d.embeddings IS NOT NULL FROM {} d WHERE d.id = ANY (%s)"
        ).format(self._target.identifier)
        there = rows_of(self._connection, statement, [[document.id for document in documents]])
        stored = {key: (content, encoded) for key, content, encoded in there}
        encoded = [d for d in documents if stored.get(d.id) != (d.content, True)]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            matrices = self._encoder.encode_documents([d.content for d in encoded])
        vectors = {d.id: self._kind(matrix) for d, matrix in zip(encoded, matrices, strict=True)}
        places = {}
        if self._has_offsets:
            places = {d.id: offsets(self._encoder, d.content) for d in encoded}
        batch = [
            _Row(
                document,
                document.id in stored,
                vectors.get(document.id),
                places.get(document.id),
                {name: value for name, value in document.fields.items() if name in self._free},
            )
            for document in documents
        ]
        left_out = {name for d in some for name in d.fields} - {"title", *self._free}
        loaded = Loaded(
            truncated=sum(len(getattr(warning.message, "positions", ())) for warning in caught),
            left_out=frozenset(left_out),
        )
        try:
            return loaded + self._store(batch, [document.id for document in some])
        except (psycopg.DataError, psycopg.IntegrityError):
            if not any(row.fields for row in batch):
                raise
        for parent, rows in groupby(batch, key=lambda row: row.document.parent or row.document.id):
            loaded += self._store_apart(list(rows), parent)
        return loaded

    def _parts(self, document: Document) -> Iterator[Document]:
        """A document whole, or its chunks, whose keys are its own and a number from 1."""
        if self._cut is None:
            yield document
            return
        for number, chunk in enumerate(self._cut(document.content), start=1):
            key = f"{document.id}#{number}"
            yield replace(document, id=key, content=chunk.text, parent=document.id)

    def _store_apart(self, rows: list[_Row], parent: str) -> Loaded:
        """Store a document, one of which a field may not fit its column."""
        try:
            return self._store(rows, [parent])
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            refused = f"line {rows[0].document.line}: {error.diag.message_primary or error}"
            if not self._skip_bad:
                raise BadDocuments(refused) from error
            return Loaded(refused=(refused,))

    def _store(self, rows: list[_Row], parents: Sequence[str]) -> Loaded:
        """Bring rows into the table, all of them or none."""
        new = [row for row in rows if not row.stored]
        changed = [row for row in rows if row.stored and row.vectors is not None]
        same = [row for row in rows if row.stored and row.vectors is None]
        written = [*new, *changed]
        with self._connection.transaction():
            self._insert(new)
            self._run_grouped(changed, self._update)
            updated = self._run_grouped([row for row in same if row.fields], self._update_fields)
            removed = self._remove_chunks(parents, [row.document.id for row in rows])
            if written and not self._knows_text:
                self._refuse_other_text(written[0].document)
        self._knows_text = self._knows_text or bool(written)
        return Loaded(len(new), len(changed) + updated, len(same) - updated, removed=removed)

    def _refuse_other_text(self, document: Document) -> None:
        """The vectors of a row must be those of its text."""
        index = self._target.index()
        text: sql.Composable = sql.SQL("d.content")
        if index is not None and "text" in (index.options or {}):
            text = sql.SQL("colbert.document_text({}::pg_catalog.regclass, d.id, {})").format(
                sql.Literal(self._target.name), sql.Literal(index.embeddings)
            )
        statement = sql.SQL("SELECT {} FROM {} d WHERE d.id = %s").format(
            text, self._target.identifier
        )
        stored = rows_of(self._connection, statement, [document.id])
        if stored and stored[0][0] != document.content:
            raise ColbertError(
                f"the text of table {self._target.name} is not what is loaded into its column "
                "content: write its columns with SQL, and let a worker encode them"
            )

    def _insert(self, rows: list[_Row]) -> None:
        if not rows:
            return
        if any(row.fields for row in rows):
            self._run_grouped(rows, self._insert_fields)
            return
        columns: dict[str, list[Any]] = {}
        if self._has_offsets:
            columns["offsets"] = [row.offsets for row in rows]
        if self._has_chunks:
            columns[PARENT] = [row.document.parent for row in rows]
        self._client.add(
            self._target.name,
            [row.document.content for row in rows],
            keys=[row.document.id for row in rows],
            embeddings=[None if row.vectors is None else row.vectors.matrix for row in rows],
            columns=columns,
            key_column="id",
            embeddings_column="embeddings",
        )

    def _run_grouped(
        self, rows: Sequence[_Row], statement: Callable[[Sequence[str]], sql.Composed]
    ) -> int:
        """A statement for each row, by the fields that it has; returns how many rows it changed.

        A field that a line does not have keeps its value, or takes the default of its column.
        """
        count = 0
        by_fields = sorted(rows, key=lambda row: sorted(row.fields))
        with psycopg.Cursor(self._connection) as cursor:
            register(cursor, self._types)
            for names, some in groupby(by_fields, key=lambda row: sorted(row.fields)):
                cursor.executemany(statement(names), [self._parameters(row) for row in some])
                count += cursor.rowcount
        return count

    def _parameters(self, row: _Row) -> dict[str, Any]:
        return {
            "id": row.document.id,
            "content": row.document.content,
            "embeddings": row.vectors,
            "offsets": row.offsets,
            PARENT: row.document.parent,
            "fields": Jsonb(row.fields),
        }

    def _insert_fields(self, names: Sequence[str]) -> sql.Composed:
        values = {"id": "%(id)s", **self._written}
        return sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(
            self._target.identifier,
            sql.SQL(", ").join(map(quoted, (*values, *names))),
            sql.SQL(", ").join([*map(sql.SQL, values.values()), *_of("r", names)]),
            self._record(names),
        )

    def _update(self, names: Sequence[str]) -> sql.Composed:
        set_ = [
            sql.SQL("{} = {}").format(quoted(name), sql.SQL(value))
            for name, value in self._written.items()
        ]
        set_ += [sql.SQL("{} = {}").format(quoted(n), quoted("r", n)) for n in names]
        return sql.SQL("UPDATE {} AS d SET {} FROM {} WHERE d.id = %(id)s").format(
            self._target.identifier, sql.SQL(", ").join(set_), self._record(names)
        )

    def _update_fields(self, names: Sequence[str]) -> sql.Composed:
        pairs = list(zip(map(quoted, names), _of("d", names), _of("r", names), strict=True))
        differs = "pg_catalog.to_jsonb({}) IS DISTINCT FROM pg_catalog.to_jsonb({})"
        return sql.SQL("UPDATE {} AS d SET {} FROM {} WHERE d.id = %(id)s AND ({})").format(
            self._target.identifier,
            sql.SQL(", ").join(sql.SQL("{} = {}").format(n, r) for n, _, r in pairs),
            self._record(names),
            sql.SQL(" OR ").join(sql.SQL(differs).format(d, r) for _, d, r in pairs),
        )

    def _record(self, names: Sequence[str]) -> sql.Composable:
        """The fields of a row as a relation ``r``, each of the type of its column."""
        if not names:
            return sql.SQL("(SELECT) AS r")
        return sql.SQL("pg_catalog.jsonb_to_record(%(fields)s) AS r ({})").format(
            sql.SQL(", ").join(
                sql.SQL("{} {}").format(quoted(name), verbatim(self._columns[name].sql_type))
                for name in names
            )
        )

    def _remove_chunks(self, parents: Sequence[str], ids: Sequence[str]) -> int:
        """Delete the other chunks of the documents; returns how many there were."""
        if not self._has_chunks:
            return 0
        statement = sql.SQL(
            "DELETE FROM {} d WHERE d.document_id = ANY (%s) AND d.id <> ALL (%s) RETURNING 1"
        ).format(self._target.identifier)
        return len(rows_of(self._connection, statement, [list(parents), list(ids)]))


def load_and_index(
    target: Table,
    encoder: TextEncoder,
    documents: Iterable[Document],
    total: int,
    method: str | None,
    console: Console,
    cut: Callable[[str], Sequence[Chunk]] | None = None,
    *,
    skip_bad: bool = False,
) -> Loaded:
    """Load with a progress bar, then build the index, both so that an interruption loses little.

    While documents come in, the table is indexed by the method ``exact``: it costs nothing, the
    index remembers the model, and what is there can be searched. Building an index over all
    documents at the end is several times faster than keeping it up to date from the first.

    Args:
        method: of the index. Default: that of the index that is there, else plaid.
    """
    with _interruptible(target, console):
        with _bar(console) as progress:
            bar = progress.add_task("Encoding and storing", total=total)
            if target.method() is None:
                target.build(encoder, "exact")
            loader = Loader(target, encoder, cut, skip_bad=skip_bad)
            loaded = loader.load(documents, advance=lambda count: progress.advance(bar, count))
        _build(target, encoder, method, console)
    return loaded


def load_and_index_pages(
    target: Table,
    encoder: Encoder,
    files: Sequence[Path],
    method: str | None,
    console: Console,
    first_stage: float | None = None,
) -> LoadedPages:
    """The same for PDF files and pictures. Where there is a first stage, the method is its own."""
    with _interruptible(target, console):
        with _bar(console) as progress:
            bar = progress.add_task("Encoding and storing", total=0)
            if target.method() is None:
                target.build(encoder, "exact")
            expected = 0

            def expect(count: int) -> None:
                nonlocal expected
                expected += count
                progress.update(bar, total=expected)

            loaded = load_pages(
                target,
                encoder,
                files,
                lambda count: progress.advance(bar, count),
                expect,
                first_stage,
            )
        if first_stage is None:
            _build(target, encoder, method, console)
        else:
            with console.status("Building the index of the first stage"):
                target.build_staged(encoder, first_stage, method)
    return loaded


def _bar(console: Console) -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _build(target: Table, encoder: TextEncoder, method: str | None, console: Console) -> None:
    """Build the index over all that is there, by the method that is due."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console
    ) as progress:
        other = target.rebuild(method)
        if other is not None:
            progress.add_task(f"Building the {other} index", total=None)
            target.build(encoder, other)


@contextmanager
def _interruptible(target: Table, console: Console) -> Iterator[None]:
    """Say how to go on after Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        console.print(
            f"Interrupted: {target.count()} documents are stored. "
            "Run the same command again to go on."
        )
        raise
