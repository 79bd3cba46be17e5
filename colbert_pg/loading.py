"""Documents from a file into a table of vectors: batch by batch, each a transaction of its own.

Whatever interrupts it, every document in the table is whole, and a second run goes on where the
first one ended: a document that is there with the same text is left alone, another text replaces
it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from rich.console import Console

from colbert_pg.chunking import Chunk
from colbert_pg.client import Client
from colbert_pg.cursors import own_cursor
from colbert_pg.errors import ColbertError, ModelMismatch
from colbert_pg.operations import TextEncoder, fingerprint_of, offsets, quoted, same_model
from colbert_pg.vectors import (
    VECTOR_TYPES,
    HalfTokenArray,
    Matrix,
    TokenArray,
    VectorTypes,
    register,
)

PARENT = "document_id"  # the column of a chunk that names its document
BATCH = 128  # documents a transaction; encoders sort them by length in themselves
_COMPLAINTS = 10  # bad lines that one message names
_METHOD = "plaid"  # of a new index for which none is named
# Options that hold for every method. "model" is the encoder's, which is the index's, or more of it.
_SHARED_OPTIONS = ("text", "dimensions", "normalized", "triggers", "candidates", "patience")


class Document(NamedTuple):
    """A key and a text; of a chunk, the key of its document, too."""

    id: str
    content: str
    parent: str | None = None


@dataclass(frozen=True)
class Loaded:
    """What became of rows: documents, or their chunks.

    ``truncated`` ones were longer than the model reads, ``removed`` chunks are those that a
    document does not have any more.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    truncated: int = 0
    removed: int = 0

    def __add__(self, other: Loaded) -> Loaded:
        return Loaded(
            self.added + other.added,
            self.changed + other.changed,
            self.unchanged + other.unchanged,
            self.truncated + other.truncated,
            self.removed + other.removed,
        )


class BadDocuments(ColbertError):  # noqa: N818
    """Lines of a file that are no documents; the message names file and line of each."""


def read(path: Path) -> Iterator[Document]:
    """The documents of a JSON lines file: objects with id (or _id), text, and maybe title.

    Raises:
        BadDocuments: at the first line that is none.
        OSError: if the file cannot be read.
    """
    for number, line in _lines(path):
        try:
            yield _document(line)
        except ValueError as error:
            raise BadDocuments(f"{path}:{number}: {error}") from error


def check(path: Path) -> int:
    """Read all of a file without keeping it; returns the number of documents.

    Raises:
        BadDocuments: naming the first ten bad lines.
        OSError: if the file cannot be read.
    """
    first: dict[str, int] = {}
    complaints: list[str] = []
    for number, line in _lines(path):
        try:
            document = _document(line)
            if document.id in first:
                raise ValueError(f"id {document.id!r} is that of line {first[document.id]}")
            first[document.id] = number
        except ValueError as error:
            complaints.append(f"{path}:{number}: {error}")
    if complaints:
        more = len(complaints) - _COMPLAINTS
        raise BadDocuments(
            "\n".join(complaints[:_COMPLAINTS] + ([f"and {more} more"] if more > 0 else []))
        )
    return len(first)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line


def _document(line: bytes) -> Document:
    try:
        fields = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error.reason} at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")
    key = fields.get("id", fields.get("_id"))
    if isinstance(key, bool) or not isinstance(key, str | int) or key == "":
        raise ValueError('"id" (or "_id") must be a string or a whole number')
    text, title = fields.get("text"), fields.get("title") or ""
    if not isinstance(text, str) or not isinstance(title, str):
        raise ValueError('"text" must be a string, and so must "title"')
    document = Document(str(key), f"{title}\n{text}".strip())
    if not document.content:
        raise ValueError('"text" is empty')
    for value in (document.id, document.content):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("a character that no PostgreSQL text can hold")
    return document


class Table:
    """A table ``(id text, content text, embeddings vector(n)[])`` to load into.

    A table of chunks has a column ``document_id text`` more. Any table with an index can be read.

    Args:
        connection: a connection in autocommit mode, since every batch is a transaction.
        name: the table as SQL writes it.
    """

    def __init__(self, connection: psycopg.Connection[Any], name: str) -> None:
        self.connection = connection
        self.name = name
        ((parts,),) = self._rows("SELECT pg_catalog.parse_ident(%s)", [name])
        self._identifier = quoted(*parts)
        self._client = Client(connection)

    def there(self) -> bool:
        """Whether there is such a table."""
        return self._rows("SELECT pg_catalog.to_regclass(%s) IS NOT NULL", [self.name]) == [(True,)]

    def model(self) -> dict[str, Any] | str | None:
        """The model that the table's index remembers: its fingerprint, or a mere name."""
        index = self._index()
        return None if index is None else index.model

    def method(self) -> str | None:
        """The method of the table's index; None without one."""
        index = self._index()
        return None if index is None else index.method

    def rebuild(self, method: str | None) -> str | None:
        """The method by which the index is to be built anew once all is in; None: it stays.

        An index for which no method is named stays, but for one that tells nothing but its model,
        by the method ``exact``: such a one is what loading has put there.
        """
        index = self._index()
        if method is None and (index is None or index.is_interim()):
            method = _METHOD
        return None if index is not None and method == index.method else method

    def build(self, encoder: TextEncoder, method: str) -> None:
        """Build the index by a method; one that is there keeps its key and the options of all."""
        client = Client(self.connection, encoder)
        index = self._index()
        with self.connection.transaction():
            if index is None:
                client.create_index(self.name, method=method)
                return
            options = {
                name: index.options[name] for name in _SHARED_OPTIONS if name in index.options
            }
            client.drop_index(self.name, index.embeddings)
            client.create_index(
                self.name, index.embeddings, method=method, options=options, key=index.key
            )

    def text(self) -> str:
        """The column of texts: the one that the index names, else content."""
        index = self._index()
        return "content" if index is None else index.text

    def has_chunks(self) -> bool:
        """Whether the rows are chunks of documents, as :meth:`create` makes such a table."""
        columns = self._columns()
        return all(columns.get(name, ("",))[0] == "text" for name in ("id", PARENT))

    def vectors(self) -> tuple[int, bool] | None:
        """Dimensions of the vectors, and whether they are halfvec; None if there is no such table.

        Raises:
            ColbertError: if there is one, of another layout.
        """
        columns = self._columns()
        if not columns:
            return None
        types = self._vector_types()
        _, oid, dimensions = columns.get("embeddings", ("", 0, 0))
        if (
            columns.get("id", ("",))[0] not in ("text", "character varying")
            or columns.get("content", ("",))[0] not in ("text", "character varying")
            or oid not in (types.vector_array, types.halfvec_array)
        ):
            raise ColbertError(
                f"table {self.name} is there and has another layout than (id text, content text, "
                "embeddings vector[] or halfvec[]): choose another --table"
            )
        return dimensions, oid == types.halfvec_array

    def has_offsets(self) -> bool:
        """Whether the table has a column for where in the text each vector stands."""
        rows = self._rows(
            "SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = pg_catalog.to_regclass(%s)"
            " AND a.attname = 'offsets' AND a.atttypid = 'pg_catalog.int4range[]'::regtype",
            [self.name],
        )
        return bool(rows)

    def create(
        self, dimensions: int, half: bool, with_offsets: bool = False, chunks: bool = False
    ) -> None:
        """Create the table if there is none.

        Raises:
            ColbertError: if there is one, with other vectors, or for chunks and not for documents.
        """
        found = self.vectors()
        if found is not None:
            if self.has_chunks() != chunks:
                held = "chunks" if self.has_chunks() else "whole documents"
                raise ColbertError(
                    f"table {self.name} holds {held}: load it as before, or choose another --table"
                )
            if found[0] not in (dimensions, -1) or found[1] != half:
                raise ColbertError(
                    f"table {self.name} holds {_type_name(*found)}[], not "
                    f"{_type_name(dimensions, half)}[]: choose another --table, or drop this one"
                )
            if with_offsets and not self.has_offsets():
                raise ColbertError(
                    f"table {self.name} has no column offsets int4range[]: choose another --table, "
                    "or drop this one"
                )
            return
        ((schema,),) = self._rows(
            "SELECT n.nspname FROM pg_catalog.pg_extension e"
            " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
        )
        with self.connection.transaction():
            self.connection.execute(
                sql.SQL(
                    "CREATE TABLE {table} (id text PRIMARY KEY,{parent} content text NOT NULL,"
                    " embeddings {vector}({dimensions})[]{offsets})"
                ).format(
                    table=self._identifier,
                    parent=sql.SQL(" document_id text NOT NULL," if chunks else ""),
                    vector=quoted(schema, "halfvec" if half else "vector"),
                    dimensions=sql.Literal(dimensions),
                    offsets=sql.SQL(", offsets int4range[]" if with_offsets else ""),
                ),
                [],
            )
            self.connection.execute(
                sql.SQL("ALTER TABLE {} ALTER embeddings SET STORAGE EXTERNAL").format(
                    self._identifier
                ),
                [],
            )
            if chunks:
                self.connection.execute(
                    sql.SQL("CREATE INDEX ON {} (document_id)").format(self._identifier), []
                )

    def load(
        self,
        encoder: TextEncoder,
        documents: Iterable[Document],
        *,
        batch: int = BATCH,
        advance: Callable[[int], None] = lambda _: None,
        cut: Callable[[str], Sequence[Chunk]] | None = None,
    ) -> Loaded:
        """Bring documents into the table, encoding those that are new or changed.

        Args:
            encoder: of the model that the index, if there is one, remembers.
            documents: each id once.
            batch: how many documents make a transaction.
            advance: called after each with the number of its documents.
            cut: makes chunks of a text, where the table is one of chunks.

        Raises:
            ModelMismatch: if the index holds vectors of another model.
        """
        model = self.model()
        fingerprint = fingerprint_of(encoder)
        if not same_model(model, fingerprint):
            raise ModelMismatch(self.name, model or {}, fingerprint)
        _, half = self.vectors() or (0, False)
        loaded = Loaded()
        remaining = iter(documents)
        while some := list(islice(remaining, batch)):
            rows = some if cut is None else [row for one in some for row in _cut(one, cut)]
            loaded += self._load_batch(encoder, rows, half, [one.id for one in some])
            advance(len(some))
        return loaded

    def contents(self, ids: Sequence[Any]) -> dict[Any, str | None]:
        """The texts of documents, by key; None where the table has no such column.

        Raises:
            ColbertError: if the table has neither an index nor a column ``id``.
        """
        index = self._index()
        key, content = ("id", "content") if index is None else (index.key, index.text)
        columns = self._columns()
        if key not in columns:
            raise ColbertError(
                f"table {self.name} has neither an index nor a column id: "
                f"index it first, SELECT colbert.create_index('{self.name}')"
            )
        statement = sql.SQL("SELECT d.{key}, {content} FROM {table} d WHERE d.{key} = ANY ({ids})")
        ids_of_type = sql.SQL("%s::{}[]").format(sql.SQL(columns[key][0].replace("%", "%%")))
        return dict(
            self._rows(
                statement.format(
                    key=quoted(key),
                    content=quoted("d", content) if content in columns else sql.NULL,
                    table=self._identifier,
                    ids=ids_of_type,
                ),
                [list(ids)],
            )
        )

    def count(self) -> int:
        """How many documents there are."""
        ((count,),) = self._rows(sql.SQL("SELECT count(*) FROM {}").format(self._identifier))
        return int(count)

    def _load_batch(
        self, encoder: TextEncoder, documents: list[Document], half: bool, parents: Sequence[str]
    ) -> Loaded:
        statement = sql.SQL(
            "SELECT d.id, d.content, d.embeddings IS NOT NULL FROM {} d WHERE d.id = ANY (%s)"
        ).format(self._identifier)
        rows = self._rows(statement, [[document.id for document in documents]])
        stored = {key: (content, encoded) for key, content, encoded in rows}
        new = [d for d in documents if d.id not in stored]
        changed = [d for d in documents if stored.get(d.id, (d.content, True)) != (d.content, True)]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            matrices = encoder.encode_documents([d.content for d in new + changed])
        columns: dict[str, list[Any]] = {}
        if self.has_offsets():
            columns["offsets"] = [offsets(encoder, d.content) for d in new + changed]
        if self.has_chunks():
            columns[PARENT] = [d.parent for d in new + changed]
        with self.connection.transaction():
            if new:
                self._client.add(
                    self.name,
                    [d.content for d in new],
                    keys=[d.id for d in new],
                    embeddings=matrices[: len(new)],
                    columns={name: values[: len(new)] for name, values in columns.items()},
                    key_column="id",
                    embeddings_column="embeddings",
                )
            if changed:
                last = {name: values[len(new) :] for name, values in columns.items()}
                self._replace(changed, matrices[len(new) :], half, last)
            removed = self._remove_chunks(parents, [d.id for d in documents])
        truncated = sum(len(getattr(warning.message, "positions", ())) for warning in caught)
        unchanged = len(documents) - len(new) - len(changed)
        return Loaded(len(new), len(changed), unchanged, truncated, removed)

    def _remove_chunks(self, parents: Sequence[str], ids: Sequence[str]) -> int:
        """Delete the other chunks of the documents; returns how many there were."""
        if not self.has_chunks():
            return 0
        statement = sql.SQL(
            "DELETE FROM {} d WHERE d.document_id = ANY (%s) AND d.id <> ALL (%s) RETURNING 1"
        ).format(self._identifier)
        return len(self._rows(statement, [list(parents), list(ids)]))

    def _replace(
        self,
        documents: list[Document],
        matrices: Sequence[Matrix],
        half: bool,
        columns: Mapping[str, Sequence[Any]],
    ) -> None:
        kind = HalfTokenArray if half else TokenArray
        values: dict[str, Sequence[Any]] = {
            "content": [document.content for document in documents],
            "embeddings": [kind(matrix) for matrix in matrices],
            **columns,
        }
        with psycopg.Cursor(self.connection) as cursor:
            register(cursor, self._vector_types())
            cursor.executemany(
                sql.SQL("UPDATE {} SET {} WHERE id = %s").format(
                    self._identifier,
                    sql.SQL(", ").join(
                        sql.SQL("{} = %s").format(sql.Identifier(name)) for name in values
                    ),
                ),
                zip(*values.values(), (document.id for document in documents), strict=True),
            )

    def _index(self) -> _Index | None:
        rows = self._rows(
            "SELECT i.embeddings, i.method, i.options, i.key FROM colbert.indexes i"
            " WHERE i.source = pg_catalog.to_regclass(%s)"
            " ORDER BY i.embeddings <> 'embeddings', i.embeddings LIMIT 1",
            [self.name],
        )
        return _Index(*rows[0]) if rows else None

    def _columns(self) -> dict[str, tuple[str, int, int]]:
        """By name: the type in SQL, of any length, its object identifier, its modifier."""
        rows = self._rows(
            "SELECT a.attname, pg_catalog.format_type(a.atttypid, -1), a.atttypid, a.atttypmod"
            " FROM pg_catalog.pg_attribute a WHERE a.attrelid = pg_catalog.to_regclass(%s)"
            " AND a.attnum > 0 AND NOT a.attisdropped",
            [self.name],
        )
        return {name: (type_name, oid, modifier) for name, type_name, oid, modifier in rows}

    def _vector_types(self) -> VectorTypes:
        return VectorTypes(*self._rows(VECTOR_TYPES)[0])

    def _rows(self, statement: Any, parameters: Sequence[Any] = ()) -> list[Any]:
        with own_cursor(self.connection) as cursor:
            return cursor.execute(statement, parameters).fetchall()


class _Index(NamedTuple):
    embeddings: str
    method: str
    options: dict[str, Any]
    key: str

    @property
    def model(self) -> dict[str, Any] | str | None:
        return self.options.get("model")

    @property
    def text(self) -> str:
        return str(self.options.get("text", "content"))

    def is_interim(self) -> bool:
        """Whether it is what loading puts there first, and leaves where it is interrupted."""
        return self.method == "exact" and self.options.keys() <= {"model"}


def _cut(document: Document, cut: Callable[[str], Sequence[Chunk]]) -> Iterator[Document]:
    """The chunks of a document: their keys are its own and a number from 1."""
    for number, chunk in enumerate(cut(document.content), start=1):
        yield Document(f"{document.id}#{number}", chunk.text, document.id)


def _type_name(dimensions: int, half: bool) -> str:
    return f"{'halfvec' if half else 'vector'}({dimensions})"


def load_and_index(
    target: Table,
    encoder: TextEncoder,
    documents: Iterable[Document],
    total: int,
    method: str | None,
    console: Console,
    cut: Callable[[str], Sequence[Chunk]] | None = None,
) -> Loaded:
    """Load with a progress bar, then build the index, both so that an interruption loses little.

    While documents come in, the table is indexed by the method ``exact``: it costs nothing, the
    index remembers the model, and what is there can be searched. Building an index over all
    documents at the end is several times faster than keeping it up to date from the first.

    Args:
        method: of the index. Default: that of the index that is there, else plaid.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    try:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
        ) as progress:
            bar = progress.add_task("Encoding and storing", total=total)
            if target.method() is None:
                target.build(encoder, "exact")
            loaded = target.load(
                encoder,
                documents,
                advance=lambda documents: progress.advance(bar, documents),
                cut=cut,
            )
        with Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console
        ) as progress:
            other = target.rebuild(method)
            if other is not None:
                progress.add_task(f"Building the {other} index", total=None)
                target.build(encoder, other)
    except KeyboardInterrupt:
        console.print(
            f"Interrupted: {target.count()} documents are stored. "
            "Run the same command again to go on."
        )
        raise
    return loaded
