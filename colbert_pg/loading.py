"""Documents from a file into a table of vectors: batch by batch, each a transaction of its own.

Whatever interrupts it, every document in the table is whole, and a second run goes on where the
first one ended: a document that is there with the same text is left alone, another text replaces
it.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from rich.console import Console
from typer import get_binary_stream

from colbert_pg.chunking import Chunk
from colbert_pg.client import Client
from colbert_pg.cursors import own_cursor
from colbert_pg.errors import ColbertError, ModelMismatch
from colbert_pg.operations import (
    TextEncoder,
    fingerprint_of,
    offsets,
    quoted,
    same_model,
    verbatim,
)
from colbert_pg.vectors import (
    VECTOR_TYPES,
    HalfTokenArray,
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


@dataclass(frozen=True)
class Document:
    """A key and a text; of a chunk, the key of its document, too.

    ``fields`` are the others of its line, by name, and ``line`` is the number of that.
    """

    id: str
    content: str
    parent: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict, compare=False)
    line: int | None = field(default=None, compare=False)


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


class BadDocuments(ColbertError):  # noqa: N818
    """Lines of a file that are no documents; the message names file and line of each."""


@dataclass
class Lines:
    """The documents of a JSON lines file: objects with id (or _id), text, and maybe title.

    ``name`` is how messages call the file, ``bad`` what is wrong with which line, once it has been
    checked.
    """

    path: Path
    name: str
    bad: dict[int, str] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def of(cls, path: Path) -> Iterator[Lines]:
        """A file; of standard input, which ``-`` names and can be read but once, a copy."""
        if str(path) != "-":
            yield cls(path, str(path))
            return
        with NamedTemporaryFile(suffix=".jsonl") as copy:
            shutil.copyfileobj(get_binary_stream("stdin"), copy)
            copy.flush()
            yield cls(Path(copy.name), "standard input")

    def check(self, *, skip_bad: bool = False) -> int:
        """Read all of the file without keeping it; returns the number of documents.

        Raises:
            BadDocuments: naming the bad lines, unless they are to be skipped.
            OSError: if the file cannot be read.
        """
        first: dict[str, int] = {}
        self.bad.clear()
        for number, line in self._lines():
            try:
                document = _document(line, number)
                if document.id in first:
                    raise ValueError(f"id {document.id!r} is that of line {first[document.id]}")
                first[document.id] = number
            except ValueError as error:
                self.bad[number] = str(error)
        if self.bad and not skip_bad:
            raise BadDocuments(self.complaints())
        return len(first)

    def read(self) -> Iterator[Document]:
        """The documents, without the lines that were found bad.

        Raises:
            BadDocuments: at the first other line that is none.
            OSError: if the file cannot be read.
        """
        for number, line in self._lines():
            if number not in self.bad:
                try:
                    yield _document(line, number)
                except ValueError as error:
                    raise BadDocuments(f"{self.name}:{number}: {error}") from error

    def complaints(self) -> str:
        """What is wrong with the first bad lines, and the numbers of the others."""
        numbers = sorted(self.bad)
        shown = [f"{self.name}:{number}: {self.bad[number]}" for number in numbers[:_COMPLAINTS]]
        more = numbers[_COMPLAINTS:]
        if more:
            shown.append(f"and {len(more)} more: lines {_ranges(more)}")
        return "\n".join(shown)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line


def _ranges(numbers: Iterable[int]) -> str:
    """Numbers in their order, as ``3-7, 9``."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)


def _document(line: bytes, number: int) -> Document:
    try:
        fields = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error.reason} at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")
    key = fields.pop("id") if "id" in fields else fields.pop("_id", None)
    if isinstance(key, bool) or not isinstance(key, str | int) or key == "":
        raise ValueError('"id" (or "_id") must be a string or a whole number')
    text, title = fields.pop("text", None), fields.get("title") or ""
    if not isinstance(text, str) or not isinstance(title, str):
        raise ValueError('"text" must be a string, and so must "title"')
    document = Document(str(key), f"{title}\n{text}".strip(), fields=fields, line=number)
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
        return all(columns.get(name, _NONE).type == "text" for name in ("id", PARENT))

    def vectors(self) -> tuple[int, bool] | None:
        """Dimensions of the vectors, and whether they are halfvec; None if there is no such table.

        Raises:
            ColbertError: if there is one, of another layout.
        """
        columns = self._columns()
        if not columns:
            return None
        types = self._vector_types()
        _, oid, dimensions, _ = columns.get("embeddings", _NONE)
        if (
            columns.get("id", _NONE).type not in ("text", "character varying")
            or columns.get("content", _NONE).type not in ("text", "character varying")
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
        skip_bad: bool = False,
    ) -> Loaded:
        """Bring documents into the table, encoding those that are new or changed.

        Args:
            encoder: of the model that the index, if there is one, remembers.
            documents: each id once.
            batch: how many documents make a transaction.
            advance: called after each with the number of its documents.
            cut: makes chunks of a text, where the table is one of chunks.
            skip_bad: leave out documents with a field that does not fit its column.

        Raises:
            BadDocuments: at the first such document, if they are not left out.
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
            loaded += self._load_batch(encoder, rows, half, [d.id for d in some], skip_bad)
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
        ids_of_type = sql.SQL("%s::{}[]").format(verbatim(columns[key].type))
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
        self,
        encoder: TextEncoder,
        documents: list[Document],
        half: bool,
        parents: Sequence[str],
        skip_bad: bool,
    ) -> Loaded:
        statement = sql.SQL(
            "SELECT d.id, d.content, d.embeddings IS NOT NULL FROM {} d WHERE d.id = ANY (%s)"
        ).format(self._identifier)
        rows = self._rows(statement, [[document.id for document in documents]])
        stored = {key: (content, encoded) for key, content, encoded in rows}
        changed = {d.id for d in documents if stored.get(d.id) not in (None, (d.content, True))}
        encoded = [d for d in documents if d.id not in stored or d.id in changed]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            matrices = encoder.encode_documents([d.content for d in encoded])
        kind = HalfTokenArray if half else TokenArray
        vectors = {d.id: kind(matrix) for d, matrix in zip(encoded, matrices, strict=True)}
        places = {}
        if self.has_offsets():
            places = {d.id: offsets(encoder, d.content) for d in encoded}
        columns = self._free_columns()
        batch = [
            _Row(
                document,
                document.id in stored,
                vectors.get(document.id),
                places.get(document.id),
                {name: value for name, value in document.fields.items() if name in columns},
            )
            for document in documents
        ]
        truncated = sum(len(getattr(warning.message, "positions", ())) for warning in caught)
        left_out = {name for d in documents for name in d.fields} - {"title", *columns}
        loaded = Loaded(truncated=truncated, left_out=frozenset(left_out))
        try:
            return loaded + self._store(batch, parents)
        except (psycopg.DataError, psycopg.IntegrityError):
            if not any(row.fields for row in batch):
                raise
        for parent, some in groupby(batch, key=lambda row: row.document.parent or row.document.id):
            loaded += self._store_apart(list(some), parent, skip_bad)
        return loaded

    def _store_apart(self, rows: list[_Row], parent: str, skip_bad: bool) -> Loaded:
        """Store a document, one of which a field may not fit its column."""
        try:
            return self._store(rows, [parent])
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            refused = f"line {rows[0].document.line}: {error.diag.message_primary or error}"
            if not skip_bad:
                raise BadDocuments(refused) from error
            return Loaded(refused=(refused,))

    def _store(self, rows: list[_Row], parents: Sequence[str]) -> Loaded:
        """Bring rows into the table, all of them or none."""
        new = [row for row in rows if not row.stored]
        changed = [row for row in rows if row.stored and row.vectors is not None]
        same = [row for row in rows if row.stored and row.vectors is None]
        with self.connection.transaction():
            self._insert(new)
            self._run_grouped(changed, self._update)
            updated = self._run_grouped([row for row in same if row.fields], self._update_fields)
            removed = self._remove_chunks(parents, [row.document.id for row in rows])
        return Loaded(len(new), len(changed) + updated, len(same) - updated, removed=removed)

    def _insert(self, rows: list[_Row]) -> None:
        if not rows:
            return
        if any(row.fields for row in rows):
            self._run_grouped(rows, self._insert_fields)
            return
        columns: dict[str, list[Any]] = {}
        if self.has_offsets():
            columns["offsets"] = [row.offsets for row in rows]
        if self.has_chunks():
            columns[PARENT] = [row.document.parent for row in rows]
        self._client.add(
            self.name,
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
        with psycopg.Cursor(self.connection) as cursor:
            register(cursor, self._vector_types())
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

    def _written(self) -> dict[str, str]:
        """Placeholders of the columns that loading writes by itself, the key aside."""
        written = {"content": "%(content)s", "embeddings": "%(embeddings)s"}
        if self.has_offsets():
            written["offsets"] = "%(offsets)s::pg_catalog.int4range[]"
        if self.has_chunks():
            written[PARENT] = f"%({PARENT})s"
        return written

    def _insert_fields(self, names: Sequence[str]) -> sql.Composed:
        values = {"id": "%(id)s", **self._written()}
        return sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(
            self._identifier,
            sql.SQL(", ").join(map(quoted, (*values, *names))),
            sql.SQL(", ").join([*map(sql.SQL, values.values()), *_of("r", names)]),
            self._record(names),
        )

    def _update(self, names: Sequence[str]) -> sql.Composed:
        written = self._written()
        set_ = [sql.SQL("{} = {}").format(quoted(n), sql.SQL(v)) for n, v in written.items()]
        set_ += [sql.SQL("{} = {}").format(quoted(n), quoted("r", n)) for n in names]
        return sql.SQL("UPDATE {} AS d SET {} FROM {} WHERE d.id = %(id)s").format(
            self._identifier, sql.SQL(", ").join(set_), self._record(names)
        )

    def _update_fields(self, names: Sequence[str]) -> sql.Composed:
        pairs = list(zip(map(quoted, names), _of("d", names), _of("r", names), strict=True))
        differs = "pg_catalog.to_jsonb({}) IS DISTINCT FROM pg_catalog.to_jsonb({})"
        return sql.SQL("UPDATE {} AS d SET {} FROM {} WHERE d.id = %(id)s AND ({})").format(
            self._identifier,
            sql.SQL(", ").join(sql.SQL("{} = {}").format(n, r) for n, _, r in pairs),
            self._record(names),
            sql.SQL(" OR ").join(sql.SQL(differs).format(d, r) for _, d, r in pairs),
        )

    def _record(self, names: Sequence[str]) -> sql.Composable:
        """The fields of a row as a relation ``r``, each of the type of its column."""
        if not names:
            return sql.SQL("(SELECT) AS r")
        columns = self._columns()
        return sql.SQL("pg_catalog.jsonb_to_record(%(fields)s) AS r ({})").format(
            sql.SQL(", ").join(
                sql.SQL("{} {}").format(quoted(name), verbatim(columns[name].type))
                for name in names
            )
        )

    def _free_columns(self) -> set[str]:
        """The columns that fields of a line may go into."""
        own = {"id", *self._written()}
        return {name for name, column in self._columns().items() if column.free} - own

    def _remove_chunks(self, parents: Sequence[str], ids: Sequence[str]) -> int:
        """Delete the other chunks of the documents; returns how many there were."""
        if not self.has_chunks():
            return 0
        statement = sql.SQL(
            "DELETE FROM {} d WHERE d.document_id = ANY (%s) AND d.id <> ALL (%s) RETURNING 1"
        ).format(self._identifier)
        return len(self._rows(statement, [list(parents), list(ids)]))

    def _index(self) -> _Index | None:
        rows = self._rows(
            "SELECT i.embeddings, i.method, i.options, i.key FROM colbert.indexes i"
            " WHERE i.source = pg_catalog.to_regclass(%s)"
            " ORDER BY i.embeddings <> 'embeddings', i.embeddings LIMIT 1",
            [self.name],
        )
        return _Index(*rows[0]) if rows else None

    def _columns(self) -> dict[str, _Column]:
        """The columns by name."""
        rows = self._rows(
            "SELECT a.attname, pg_catalog.format_type(a.atttypid, -1), a.atttypid, a.atttypmod,"
            "       a.attgenerated = '' AND a.attidentity <> 'a'"
            " FROM pg_catalog.pg_attribute a WHERE a.attrelid = pg_catalog.to_regclass(%s)"
            " AND a.attnum > 0 AND NOT a.attisdropped",
            [self.name],
        )
        return {name: _Column(*column) for name, *column in rows}

    def _vector_types(self) -> VectorTypes:
        return VectorTypes(*self._rows(VECTOR_TYPES)[0])

    def _rows(self, statement: Any, parameters: Sequence[Any] = ()) -> list[Any]:
        with own_cursor(self.connection) as cursor:
            return cursor.execute(statement, parameters).fetchall()


class _Column(NamedTuple):
    """The type in SQL, of any length, its object identifier, its modifier.

    ``free`` columns take what is written into them: they are neither generated nor an identity.
    """

    type: str
    oid: int
    modifier: int
    free: bool


_NONE = _Column("", 0, 0, False)


class _Row(NamedTuple):
    """A document on its way; without vectors where its text is stored with them already."""

    document: Document
    stored: bool
    vectors: TokenArray | None
    offsets: Sequence[Any] | None
    fields: Mapping[str, Any]


def _of(relation: str, names: Sequence[str]) -> list[sql.SQL]:
    return [quoted(relation, name) for name in names]


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
        id_ = f"{document.id}#{number}"
        yield replace(document, id=id_, content=chunk.text, parent=document.id)


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
                skip_bad=skip_bad,
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
