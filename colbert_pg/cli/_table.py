"""A table of vectors as the command line makes it, or finds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString, cast

import psycopg
from psycopg import sql

from colbert_pg._cursors import rows
from colbert_pg._statements import quoted, verbatim
from colbert_pg.catalog import Index, Model, Source, source, vector_schema, vector_types
from colbert_pg.client import Client
from colbert_pg.encoding import TextEncoder, fingerprint_of, same_model
from colbert_pg.errors import ColbertError, ModelMismatch
from colbert_pg.options import Method, Options

FIRST_STAGE = "pooled"  # the column of pooled vectors that names the candidates
PARENT = "document_id"  # the column of a chunk that names its document
_METHOD = "plaid"  # of a new index for which none is named
# Options that hold for every method. "model" is the encoder's, which is the index's, or more of it.
_SHARED_OPTIONS = (
    "text",
    "pictures",
    "dimensions",
    "normalized",
    "triggers",
    "candidates",
    "patience",
)


class Table:
    """A table ``(id text, content text, embeddings vector(n)[])`` to load into.

    A table of chunks has a column ``document_id text`` more. A page has file, number, pixels and
    digest in the place of the content. Any table with an index can be read.

    Args:
        connection: a connection in autocommit mode, since every batch is a transaction.
        name: the table as SQL writes it.
    """

    def __init__(self, connection: psycopg.Connection[Any], name: str) -> None:
        self.connection = connection
        self.name = name
        ((parts,),) = rows(connection, "SELECT pg_catalog.parse_ident(%s)", [name])
        self.identifier = quoted(*parts)

    def source(self) -> Source | None:
        """The table as the catalog describes it; None if there is none."""
        return source(self.connection, self.name)

    def index(self) -> Index | None:
        """The index on the column embeddings, else the first one."""
        table = self.source()
        indexes = {} if table is None else {index.embeddings: index for index in table.indexes}
        return indexes.get("embeddings") or next(iter(indexes.values()), None)

    def model(self) -> Model | None:
        """The model that the table's index remembers: its fingerprint, or a mere name."""
        index = self.index()
        return None if index is None else index.model

    def refuse_other_model(self, encoder: TextEncoder) -> None:
        """Nothing of another model goes into the table.

        Raises:
            ModelMismatch: if the index holds vectors of another model.
        """
        model, fingerprint = self.model(), fingerprint_of(encoder)
        if not same_model(model, fingerprint):
            raise ModelMismatch(self.name, model or {}, fingerprint)

    def method(self) -> str | None:
        """The method of the table's index; None without one."""
        index = self.index()
        return None if index is None else index.method

    def text(self) -> str:
        """The texts: the column or the expression that the index names, else column content."""
        index = self.index()
        return "content" if index is None else index.text

    def has_chunks(self) -> bool:
        """Whether the rows are chunks of documents, as :meth:`create` makes such a table."""
        table = self.source()
        return _has(table, "id", "text") and _has(table, PARENT, "text")

    def has_offsets(self) -> bool:
        """Whether the table has a column for where in the text each vector stands."""
        return _has(self.source(), "offsets", "int4range[]")

    def vectors(self) -> tuple[int, bool] | None:
        """Dimensions of the vectors, and whether they are halfvec; None if there is no such table.

        Raises:
            ColbertError: if there is one, of another layout.
        """
        table = self.source()
        if table is None:
            return None
        stored = self._stored(table)
        text = ("text", "character varying")
        holds = all(_has(table, name, *text) for name in ("id", "content")) or _holds_pages(table)
        if stored is None or not holds:
            raise ColbertError(
                f"table {self.name} is there and has another layout than (id text, content text, "
                "embeddings vector[] or halfvec[]): choose another --table"
            )
        return stored

    def page_vectors(self) -> tuple[int, bool] | None:
        """Dimensions of the vectors of pages, and whether they are halfvec; None: no pages."""
        table = self.source()
        return self._stored(table) if table is not None and _holds_pages(table) else None

    def _stored(self, table: Source) -> tuple[int, bool] | None:
        """Dimensions of the column embeddings, and whether it is halfvec; None: no vectors."""
        types = vector_types(self.connection)
        embeddings = table.columns.get("embeddings")
        if embeddings is None or embeddings.type not in (types.vector_array, types.halfvec_array):
            return None
        return embeddings.modifier, embeddings.type == types.halfvec_array

    def first_stage(self) -> float | None:
        """By what the vectors of the first stage are pooled, as their index remembers it."""
        table = self.source()
        index = None if table is None else table.index(FIRST_STAGE)
        model = None if index is None else index.model
        return model.get("pool_factor") if isinstance(model, dict) else None

    def create_pages(self, dimensions: int, half: bool, pool: float | None = None) -> None:
        """Create a table of pages if there is none: file, number, pixels, digest, vectors.

        One of texts, without chunks, gets columns for pages.

        Args:
            dimensions: of the vectors.
            half: whether they are halfvec.
            pool: by what those of the first stage are pooled; None: there is none.

        Raises:
            ColbertError: if there is one of another layout, or with other vectors.
        """
        if self.source() is not None:
            found = self.page_vectors()
            if found is None:
                found = self.vectors()
                if found is None or self.has_chunks() or "offsets" in self.columns():
                    raise ColbertError(
                        f"table {self.name} is there and holds no pages: choose another --table"
                    )
            if found[0] not in (dimensions, -1) or found[1] != half:
                raise ColbertError(
                    f"table {self.name} holds vectors of another length or type: "
                    "choose another --table, or drop this one"
                )
            held = FIRST_STAGE in self.columns()
            if held != (pool is not None) or self.first_stage() not in (None, pool):
                raise ColbertError(
                    f"table {self.name} holds pages {'with' if held else 'without'} a first stage, "
                    "or with another: load it as before, or choose another --table"
                )
            if self.page_vectors() is None:
                self._take_both(
                    "ALTER content DROP NOT NULL, ADD file text, ADD page int, ADD width int,"
                    " ADD height int, ADD digest text, ADD UNIQUE (file, page)"
                )
            return
        vector = quoted(vector_schema(self.connection), "halfvec" if half else "vector")
        with self.connection.transaction():
            self.connection.execute(
                sql.SQL(
                    "CREATE TABLE {table} (id text PRIMARY KEY, file text NOT NULL,"
                    " page int NOT NULL, width int NOT NULL, height int NOT NULL,"
                    " digest text NOT NULL, embeddings {vector}({dimensions})[],{pooled}"
                    " UNIQUE (file, page))"
                ).format(
                    table=self.identifier,
                    vector=vector,
                    dimensions=sql.Literal(dimensions),
                    pooled=sql.SQL(
                        "" if pool is None else " {column} {vector}({dimensions})[],"
                    ).format(
                        column=quoted(FIRST_STAGE),
                        vector=vector,
                        dimensions=sql.Literal(dimensions),
                    ),
                ),
                [],
            )
            self._store_plain()
            if pool is not None:
                self._store_plain(FIRST_STAGE)

    def _take_both(self, change: LiteralString) -> None:
        """Change a table of texts, or of pages, into one of both."""
        either = "ADD CONSTRAINT text_or_page CHECK ((content IS NULL) <> (file IS NULL))"
        self.connection.execute(
            sql.SQL("ALTER TABLE {} {}, {}").format(
                self.identifier, sql.SQL(change), sql.SQL(either)
            ),
            [],
        )

    def pages(self, ids: Sequence[Any]) -> dict[Any, tuple[str, int]]:
        """File and number of those documents that are pages, by key."""
        if self.page_vectors() is None:
            return {}
        statement = sql.SQL(
            "SELECT d.id, d.file, d.page FROM {} d WHERE d.id = ANY (%s) AND d.file IS NOT NULL"
        )
        found = rows(self.connection, statement.format(self.identifier), [list(ids)])
        return {key: (file, number) for key, file, number in found}

    def columns(self) -> Sequence[str]:
        """The names of the columns; none without a table."""
        table = self.source()
        return () if table is None else tuple(table.columns)

    def _store_plain(self, column: str = "embeddings") -> None:
        """Vectors do not compress: PostgreSQL is not to try."""
        self.connection.execute(
            sql.SQL("ALTER TABLE {} ALTER {} SET STORAGE EXTERNAL").format(
                self.identifier, quoted(column)
            ),
            [],
        )

    def create(
        self, dimensions: int, half: bool, with_offsets: bool = False, chunks: bool = False
    ) -> None:
        """Create the table if there is none. One of pages gets a column for texts.

        Raises:
            ColbertError: if there is one, with other vectors, or for chunks and not for documents,
                or for pages with a first stage.
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
            if FIRST_STAGE in self.columns() and self.page_vectors() is not None:
                raise ColbertError(
                    f"table {self.name} holds pages with a first stage: choose another --table"
                )
            if "content" not in self.columns():
                nullable = ("file", "page", "width", "height", "digest")
                self._take_both(
                    "ADD content text, " + ", ".join(f"ALTER {n} DROP NOT NULL" for n in nullable)
                )
            return
        with self.connection.transaction():
            self.connection.execute(
                sql.SQL(
                    "CREATE TABLE {table} (id text PRIMARY KEY,{parent} content text NOT NULL,"
                    " embeddings {vector}({dimensions})[]{offsets})"
                ).format(
                    table=self.identifier,
                    parent=sql.SQL(" document_id text NOT NULL," if chunks else ""),
                    vector=quoted(vector_schema(self.connection), "halfvec" if half else "vector"),
                    dimensions=sql.Literal(dimensions),
                    offsets=sql.SQL(", offsets int4range[]" if with_offsets else ""),
                ),
                [],
            )
            self._store_plain()
            if chunks:
                self.connection.execute(
                    sql.SQL("CREATE INDEX ON {} (document_id)").format(self.identifier), []
                )

    def rebuild(self, method: str | None) -> str | None:
        """The method by which the index is to be built anew once all is in; None: it stays.

        An index for which no method is named stays, but for one that tells nothing but its model,
        by the method ``exact``: such a one is what loading has put there.
        """
        index = self.index()
        if method is None and (index is None or _is_interim(index)):
            method = _METHOD
        return None if index is not None and method == index.method else method

    def build(self, encoder: TextEncoder, method: str) -> None:
        """Build the index by a method; one that is there keeps its key and the options of all."""
        client = Client(self.connection, encoder)
        index = self.index()
        by = cast(Method, method)
        with self.connection.transaction():
            if index is None:
                client.create_index(self.name, method=by)
                return
            known = index.options or {}
            shared = {name: known[name] for name in _SHARED_OPTIONS if name in known}
            client.drop_index(self.name, index.embeddings)
            client.create_index(
                self.name, index.embeddings, method=by, options=cast(Options, shared), key=index.key
            )

    def build_staged(self, encoder: TextEncoder, pool: float, method: str | None) -> None:
        """Build the first stage, and the index whose candidates it names.

        Nothing is done where both are there and no other method is wanted.
        """
        client = Client(self.connection, encoder)
        table = self.source()
        assert table is not None
        first = table.index(FIRST_STAGE)
        if first is not None and method in (None, first.method):
            return
        model = {**fingerprint_of(encoder), "pool_factor": pool}
        with self.connection.transaction():
            if table.index("embeddings") is not None:
                client.drop_index(self.name, "embeddings")
            if first is not None:
                client.drop_index(self.name, FIRST_STAGE)
            client.create_index(
                self.name,
                FIRST_STAGE,
                method=cast(Method, method or _METHOD),
                options={"model": model},
            )
            client.create_index(self.name, options={"first_stage": FIRST_STAGE})

    def pictures(self) -> str | None:
        """The column of pictures that workers encode, if the index names one."""
        index = self.index()
        return None if index is None else index.pictures

    def contents(self, ids: Sequence[Any]) -> dict[Any, Any]:
        """The texts of documents, or their pictures, by key; None where there is no such column.

        Raises:
            ColbertError: if the table has neither an index nor a column ``id``.
        """
        table, index = self.source(), self.index()
        columns = {} if table is None else table.columns
        key = "id" if index is None or index.key is None else index.key
        content = "content" if index is None else index.pictures or index.text
        if key not in columns:
            raise ColbertError(
                f"table {self.name} has neither an index nor a column id: "
                f"index it first, SELECT colbert.create_index('{self.name}')"
            )
        statement = sql.SQL("SELECT d.{key}, {content} FROM {table} d WHERE d.{key} = ANY ({ids})")
        ids_of_type = sql.SQL("%s::{}[]").format(verbatim(columns[key].sql_type))
        return dict(
            rows(
                self.connection,
                statement.format(
                    key=quoted(key),
                    content=quoted("d", content) if content in columns else sql.NULL,
                    table=self.identifier,
                    ids=ids_of_type,
                ),
                [list(ids)],
            )
        )

    def count(self) -> int:
        """How many documents there are."""
        statement = sql.SQL("SELECT count(*) FROM {}").format(self.identifier)
        ((count,),) = rows(self.connection, statement, [])
        return int(count)


def _has(table: Source | None, name: str, *sql_types: str) -> bool:
    """Whether a table has a column of one of the types."""
    return table is not None and name in table.columns and table.columns[name].sql_type in sql_types


def _holds_pages(table: Source) -> bool:
    columns = (("id", "text"), ("file", "text"), ("page", "integer"), ("digest", "text"))
    return all(_has(table, *column) for column in columns)


def _is_interim(index: Index) -> bool:
    """Whether it is what loading puts there first, and leaves where it is interrupted."""
    return index.method == "exact" and (index.options or {}).keys() <= {"model"}


def _type_name(dimensions: int, half: bool) -> str:
    return f"{'halfvec' if half else 'vector'}({dimensions})"
