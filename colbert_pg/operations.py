"""What the client does, written once for both clients: the statements, and what their rows mean.

Each operation is a generator that yields steps (a query, a COPY, work for the processor) and is
sent their results. :class:`~colbert_pg.client.Client` carries the steps out at once,
:class:`~colbert_pg.client.AsyncClient` awaits them. Nothing here touches a connection.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy.typing as npt
from psycopg import sql
from psycopg.types.json import Jsonb
from psycopg.types.range import Int4Range

from colbert_pg.arguments import (
    is_blank,
    json_values,
    require_keys,
    require_text,
    require_texts,
    require_values,
)
from colbert_pg.errors import (
    NO_SCHEMA,
    DocumentMissing,
    EncoderMissing,
    ModelMismatch,
    NotInstalled,
)
from colbert_pg.vectors import (
    VECTOR_TYPES,
    HalfTokenArray,
    Matrix,
    TokenArray,
    VectorTypes,
    as_matrix,
)

Key = Any  # int, str, uuid.UUID: whatever psycopg makes of the key's type
_T = TypeVar("_T")


class TokenText(Protocol):
    """The text of one token, and where it stands (None for what an encoder adds)."""

    @property
    def text(self) -> str: ...
    @property
    def start(self) -> int | None: ...
    @property
    def end(self) -> int | None: ...


class TextEncoder(Protocol):
    """What the client asks of an encoder; :class:`colbert_pg.encoder.Encoder` is one.

    Every matrix is a float32 array (tokens, dimensions) with unit rows.
    """

    @property
    def fingerprint(self) -> Mapping[str, Any]: ...
    def encode_queries(self, texts: Sequence[str], /) -> Sequence[Matrix]: ...
    def encode_documents(
        self, texts: Sequence[str], /, *, progress: bool = False
    ) -> Sequence[Matrix]: ...
    def query_tokens(self, text: str, /) -> Sequence[TokenText]: ...
    def document_tokens(self, text: str, /) -> Sequence[TokenText]: ...


class Hit(NamedTuple):
    """A document that was found, and its exact score."""

    doc_id: Key
    score: float


class HybridHit(NamedTuple):
    """A document that hybrid search found: the fused score, and rank and score by both parts.

    ``score`` adds up the reciprocal ranks, ``maxsim_score`` is the exact MaxSim, ``text_score``
    that of full text. Ranks count from 1. Rank and score of a part are None where the document has
    no tokens, or its text was not found.
    """

    doc_id: Key
    score: float
    maxsim_rank: int | None
    maxsim_score: float | None
    text_rank: int | None
    text_score: float | None


class ParentHit(NamedTuple):
    """A document that was found by its chunks: its key, the score of its best chunk, and that."""

    parent_id: Key
    score: float
    doc_id: Key


class Match(NamedTuple):
    """Which document token answered a query token.

    Positions are 1-based. The texts are None where no encoder, or no text of the document, is at
    hand.
    """

    query_position: int
    query_token: TokenText | None
    document_position: int
    document_token: TokenText | None
    similarity: float


class Explanation(NamedTuple):
    """Why a document has its score: the sum of the similarities of its matches."""

    doc_id: Key
    score: float
    matches: list[Match]
    content: str | None


class Problem(NamedTuple):
    """A difference between an index and the arrays of its source."""

    problem: str
    doc_id: str | None
    detail: str | None


class Recall(NamedTuple):
    """How good an index is, and how fast: a share of the best documents, and milliseconds."""

    queries: int
    recall: float
    milliseconds: float
    milliseconds_p95: float
    exact_milliseconds: float
    speedup: float


class Trial(NamedTuple):
    """A setting of an index that was tried, and whether it is now the index's."""

    setting: Mapping[str, int]
    recall: float
    milliseconds: float
    speedup: float
    chosen: bool


class Stage(NamedTuple):
    """What a stage of a search did. ``rows_read`` are those of the index, where it read any."""

    stage: str
    documents: int
    milliseconds: float
    detail: str
    rows_read: int | None = None


# The steps


class Query(NamedTuple):
    """A statement; its answer is all of its rows, fetched as text unless ``binary``."""

    statement: sql.SQL | sql.Composed
    parameters: Mapping[str, Any]
    binary: bool = False


class Copy(NamedTuple):
    """Rows for a binary COPY, with the types of the columns; its answer is the number of rows."""

    statement: sql.SQL | sql.Composed
    types: Sequence[int]
    rows: Iterable[Sequence[Any]]


class Compute(NamedTuple):
    """Work that keeps a processor busy; its answer is what it returns."""

    work: Callable[[], Any]


Step = Query | Copy | Compute
Operation = Generator[Step, Any, _T]


# What is known of the database


class Column(NamedTuple):
    """Object identifier of a column's type (of a domain, its base type), and its SQL name."""

    type: int
    sql_type: str


class Index(NamedTuple):
    """An index, as far as the client needs to know."""

    embeddings: str
    key: str
    model: Mapping[str, Any] | str | None


@dataclass(frozen=True)
class Source:
    """A table as the catalog describes it."""

    schema: str
    table: str
    columns: Mapping[str, Column]
    primary_key: str | None
    indexes: Sequence[Index]

    @property
    def name(self) -> tuple[str, str]:
        return self.schema, self.table

    def index(self, embeddings: str | None) -> Index | None:
        """The index on a column; without a name, the only one there is."""
        found = [index for index in self.indexes if embeddings in (None, index.embeddings)]
        return found[0] if len(found) == 1 else None

    def column(self, name: str) -> Column:
        if name not in self.columns:
            raise ValueError(f'table "{self.table}" has no column "{name}"')
        return self.columns[name]

    def key(self, embeddings: str | None) -> str:
        """The key of an index; without an index, the primary key."""
        index = self.index(embeddings)
        if index is not None:
            return index.key
        if self.primary_key is None:
            raise ValueError(f'table "{self.table}" has no primary key of one column')
        return self.primary_key

    def key_type(self, embeddings: str | None) -> str:
        """How SQL writes the type of that key."""
        return self.column(self.key(embeddings)).sql_type

    def embeddings(self, name: str | None, types: VectorTypes) -> str:
        """The array column: the one that is named, indexed, called embeddings, or the only one."""
        if name is not None:
            return name
        index = self.index(None)
        if index is not None:
            return index.embeddings
        arrays = [
            name
            for name, column in self.columns.items()
            if column.type in (types.vector_array, types.halfvec_array)
        ]
        if "embeddings" in arrays:
            return "embeddings"
        if len(arrays) == 1:
            return arrays[0]
        raise ValueError(
            f'table "{self.table}" has {len(arrays)} columns of token vectors: name one of them'
        )


class Database:
    """What one client has looked up so far; looked up anew after any error.

    The types stay known until then: another operation of the same client may be under way.
    """

    def __init__(self) -> None:
        self.types: VectorTypes | None = None
        self.stale = True
        self.sources: dict[str, Source] = {}

    def forget(self) -> None:
        self.stale = True
        self.sources.clear()

    def vector_types(self) -> Operation[VectorTypes]:
        if self.types is None or self.stale:
            rows = yield Query(_INSTALLED, {})
            if not rows:
                raise NotInstalled("this database has no pgvector: run CREATE EXTENSION vector")
            *types, installed = rows[0]
            if not installed:
                raise NotInstalled(NO_SCHEMA)
            self.types, self.stale = VectorTypes(*types), False
        return self.types

    def source(self, name: str, *, fresh: bool = False) -> Operation[Source]:
        if fresh or name not in self.sources:
            rows = yield Query(_SOURCE, {"source": name})
            ((schema, table, columns, primary_key, indexes),) = rows
            self.sources[name] = Source(
                schema,
                table,
                {
                    column["name"]: Column(column["type"], column["sql_type"])
                    for column in columns or ()
                },
                primary_key,
                [Index(**index) for index in indexes],
            )
        return self.sources[name]


_INSTALLED = sql.SQL(
    f"SELECT t.*, pg_catalog.to_regclass('colbert.indexes') IS NOT NULL FROM ({VECTOR_TYPES}) AS t"
)

_SOURCE = sql.SQL(
    """
SELECT n.nspname, c.relname,
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
                 'name', a.attname,
                 'type', CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END::pg_catalog.int8,
                 'sql_type', pg_catalog.format_type(a.atttypid, -1)))
          FROM pg_catalog.pg_attribute a
          JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       (SELECT a.attname
          FROM pg_catalog.pg_index p
          JOIN pg_catalog.pg_attribute a ON a.attrelid = p.indrelid AND a.attnum = p.indkey[0]
         WHERE p.indrelid = c.oid AND p.indisprimary AND p.indnkeyatts = 1),
       (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
                 'embeddings', i.embeddings, 'key', i.key, 'model', i.options -> 'model')), '[]')
          FROM colbert.indexes i
         WHERE i.source = c.oid)
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = %(source)s::pg_catalog.regclass
"""
)


def _call(function: str, arguments: Mapping[str, Any], columns: str = "*") -> Query:
    """``SELECT … FROM colbert.function(name => value, …)`` of the arguments that are not None."""
    given = {name: value for name, value in arguments.items() if value is not None}
    return Query(
        sql.SQL("SELECT {} FROM colbert.{}({}) AS r").format(
            sql.SQL(columns), sql.Identifier(function), _named(given)
        ),
        {name: _ready(value) for name, value in given.items()},
    )


def _named(arguments: Mapping[str, Any]) -> sql.Composed:
    """The argument list. Values whose type depends on the index come as :class:`_Cast`."""
    return sql.SQL(", ").join(
        sql.SQL("{} => {}").format(sql.Identifier(name), _placeholder(name, value))
        for name, value in arguments.items()
    )


class _Cast(NamedTuple):
    """A value, and the type to cast it to in SQL: from the catalog, never from a caller."""

    value: Any
    type: str


_TYPES = {
    "source": "pg_catalog.regclass",
    "embeddings": "pg_catalog.name",
    "key": "pg_catalog.name",
    "parent": "pg_catalog.name",
    "method": "pg_catalog.text",
    "filter": "pg_catalog.text",
    "options": "pg_catalog.jsonb",
    "params": "pg_catalog.jsonb",
    "k": "pg_catalog.int4",
    "candidates": "pg_catalog.int4",
    "exact": "pg_catalog.bool",
    "queries": "pg_catalog.regclass",
    "query_column": "pg_catalog.name",
    "sample": "pg_catalog.int4",
    "target_recall": "pg_catalog.float8",
    "words": "pg_catalog.text",
    "content": "pg_catalog.text",
    "language": "pg_catalog.regconfig",
    "match": "pg_catalog.text",
    "text_weight": "pg_catalog.float8",
    "constant": "pg_catalog.int4",
}


def _placeholder(name: str, value: Any) -> sql.Composed:
    placeholder = sql.Placeholder(name)
    if isinstance(value, TokenArray):
        return sql.Composed([placeholder])  # typed by its own object identifier
    cast = value.type if isinstance(value, _Cast) else _TYPES[name]
    return sql.SQL("{}::{}").format(placeholder, verbatim(cast))


def quoted(*names: str) -> sql.SQL:
    """An identifier in a statement that has parameters, where a percent sign must be doubled."""
    return verbatim(sql.Identifier(*names).as_string(None))


def verbatim(text: str) -> sql.SQL:
    """SQL as it is, in a statement that has parameters."""
    return sql.SQL(text.replace("%", "%%"))


def _ready(value: Any) -> Any:
    if isinstance(value, _Cast):
        return value.value
    return Jsonb(json_values(value)) if isinstance(value, Mapping) else value


# The operations


class Operations:
    """All operations of a client, and what they share: what is known, and the encoder."""

    def __init__(self, encoder: TextEncoder | None) -> None:
        self.encoder = encoder
        self.database = Database()

    # Indexes

    def create_index(
        self,
        source: str,
        embeddings: str,
        method: str | None,
        options: Mapping[str, Any] | None,
        key: str | None,
    ) -> Operation[None]:
        model = {} if self.encoder is None else {"model": fingerprint_of(self.encoder)}
        yield _call(
            "create_index",
            {
                "source": source,
                "embeddings": embeddings,
                "method": method,
                "options": {**model, **(options or {})} or None,
                "key": key,
            },
        )
        self.database.sources.pop(source, None)

    def drop_index(self, source: str, embeddings: str | None) -> Operation[None]:
        yield _call("drop_index", {"source": source, "embeddings": embeddings})
        self.database.sources.pop(source, None)

    def reindex(self, source: str, embeddings: str | None) -> Operation[None]:
        yield _call("reindex", {"source": source, "embeddings": embeddings})

    def check_index(self, source: str, embeddings: str | None) -> Operation[list[Problem]]:
        rows = yield _call(
            "check_index",
            {"source": source, "embeddings": embeddings},
            "r.problem, r.doc_id, r.detail",
        )
        return [Problem(*row) for row in rows]

    def repair_index(self, source: str, embeddings: str | None) -> Operation[int]:
        ((mended,),) = yield _call("repair_index", {"source": source, "embeddings": embeddings})
        return int(mended)

    def measure_recall(
        self,
        source: str,
        queries: str | None,
        *,
        k: int,
        sample: int,
        candidates: int | None,
        embeddings: str | None,
        query_column: str | None,
        filter: str | None,
        params: Mapping[str, Any] | None,
    ) -> Operation[Recall]:
        ((*row,),) = yield _call(
            "measure_recall",
            {
                "source": source,
                "queries": queries,
                "k": k,
                "sample": sample,
                "candidates": candidates,
                "embeddings": embeddings,
                "query_column": query_column,
                "filter": filter,
                "params": params,
            },
        )
        return Recall(*row)

    def tune(
        self,
        source: str,
        target_recall: float,
        queries: str | None,
        *,
        k: int,
        sample: int,
        embeddings: str | None,
        query_column: str | None,
        filter: str | None,
        params: Mapping[str, Any] | None,
    ) -> Operation[list[Trial]]:
        rows = yield _call(
            "tune",
            {
                "source": source,
                "target_recall": target_recall,
                "queries": queries,
                "k": k,
                "sample": sample,
                "embeddings": embeddings,
                "query_column": query_column,
                "filter": filter,
                "params": params,
            },
        )
        return [Trial(*row) for row in rows]

    def indexes(self) -> Operation[list[dict[str, Any]]]:
        yield from self.database.vector_types()
        rows = yield Query(sql.SQL("SELECT pg_catalog.to_json(i) FROM colbert.indexes i"), {})
        return [row[0] for row in rows]

    # Documents

    def add(
        self,
        source: str,
        contents: Sequence[str] | None,
        *,
        keys: Sequence[Key] | None,
        columns: Mapping[str, Sequence[Any]] | None,
        embeddings: Sequence[npt.ArrayLike | None] | None,
        content_column: str,
        embeddings_column: str | None,
        key_column: str | None,
        offsets_column: str | None,
        progress: bool,
    ) -> Operation[int]:
        if contents is not None:
            require_texts(contents, encoded=embeddings is None)
        if keys is not None:
            require_values("keys", keys)
        if embeddings is not None:
            require_values("embeddings", embeddings)
        for name, given in (columns or {}).items():
            require_values(f'the column "{name}"', given)
        types = yield from self.database.vector_types()
        table = yield from self.database.source(source, fresh=True)
        array_column = table.embeddings(embeddings_column, types)
        if embeddings is None and contents is not None:
            encoder, texts = self._text_encoder(), contents
            self._check_model(source, table.index(array_column))
            embeddings = yield Compute(lambda: encoder.encode_documents(texts, progress=progress))
        values: dict[str, Sequence[Any]] = dict(columns or {})
        if keys is not None:
            values[key_column or table.key(array_column)] = keys
        if contents is not None:
            values[content_column] = contents
        if offsets_column is not None:
            encoder, texts = self._text_encoder(), contents or ()
            values[offsets_column] = yield Compute(lambda: [offsets(encoder, t) for t in texts])
        if embeddings is not None:
            half = table.column(array_column).type == types.halfvec_array
            kind = HalfTokenArray if half else TokenArray
            values[array_column] = [None if e is None else kind(e) for e in embeddings]
        if len({len(column) for column in values.values()}) != 1:
            given = ", ".join(f"{name}: {len(column)}" for name, column in values.items())
            raise ValueError(f"every column needs a value per document ({given or 'none given'})")
        described = {name: table.column(name) for name in values}
        converted = [_converted(values[name], column) for name, column in described.items()]
        copied = yield Copy(
            sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
                sql.Identifier(*table.name), sql.SQL(", ").join(map(sql.Identifier, values))
            ),
            [column.type for column in described.values()],
            zip(*converted, strict=True),
        )
        return int(copied)

    def embeddings(
        self, source: str, keys: Sequence[Key], embeddings: str | None
    ) -> Operation[list[Matrix | None]]:
        require_keys("embeddings", keys)
        types = yield from self.database.vector_types()
        table = yield from self.database.source(source, fresh=True)
        key = table.key(embeddings)
        rows = yield Query(
            sql.SQL(
                "SELECT d.{column} FROM pg_catalog.unnest({keys}) WITH ORDINALITY AS k (key, place)"
                " LEFT JOIN {table} d ON d.{key} = k.key ORDER BY k.place"
            ).format(
                column=quoted(table.embeddings(embeddings, types)),
                keys=_placeholder("keys", _Cast(keys, f"{table.key_type(embeddings)}[]")),
                table=quoted(*table.name),
                key=quoted(key),
            ),
            {"keys": list(keys)},
            binary=True,
        )
        return [row[0] for row in rows]

    # Search

    def search(
        self,
        source: str,
        query: str | npt.ArrayLike,
        *,
        k: int,
        filter: str | None,
        params: Mapping[str, Any] | None,
        candidates: int | None,
        exact: bool,
        embeddings: str | None,
    ) -> Operation[list[Hit]]:
        vectors = yield from self._query(source, query, embeddings)
        if vectors is None:
            return []
        table = yield from self.database.source(source)
        arguments = {
            "source": source,
            "query": vectors,
            "key": _key_argument(table, embeddings),
            "k": k,
            "filter": filter,
            "params": params,
            "candidates": candidates,
            "exact": exact,
            "embeddings": embeddings,
        }
        return (yield from self._hits("search", arguments, table, isinstance(query, str)))

    def explain_search(
        self,
        source: str,
        query: str | npt.ArrayLike,
        *,
        k: int,
        filter: str | None,
        params: Mapping[str, Any] | None,
        candidates: int | None,
        exact: bool,
        embeddings: str | None,
    ) -> Operation[list[Stage]]:
        vectors = yield from self._query(source, query, embeddings, fresh=True)
        if vectors is None:
            return []
        table = yield from self.database.source(source)
        rows = yield _call(
            "explain_search",
            {
                "source": source,
                "query": vectors,
                "key": _key_argument(table, embeddings),
                "k": k,
                "filter": filter,
                "params": params,
                "candidates": candidates,
                "exact": exact,
                "embeddings": embeddings,
            },
        )
        return [Stage(*row) for row in rows]

    def hybrid_search(
        self,
        source: str,
        query: str,
        *,
        vectors: npt.ArrayLike | None,
        k: int,
        content: str | None,
        language: str | None,
        match: str | None,
        text_weight: float | None,
        constant: int | None,
        filter: str | None,
        params: Mapping[str, Any] | None,
        candidates: int | None,
        exact: bool,
        embeddings: str | None,
    ) -> Operation[list[HybridHit]]:
        require_text(query)
        given = query if vectors is None else as_matrix(vectors)
        encoded = yield from self._query(source, given, embeddings)
        if encoded is None:
            return []
        table = yield from self.database.source(source)
        arguments = {
            "source": source,
            "query": encoded,
            "words": query,
            "key": _key_argument(table, embeddings),
            "k": k,
            "content": content,
            "language": language,
            "match": match,
            "text_weight": text_weight,
            "constant": constant,
            "filter": filter,
            "params": params,
            "candidates": candidates,
            "exact": exact,
            "embeddings": embeddings,
        }
        rows = yield from self._found(
            "hybrid_search",
            arguments,
            HybridHit._fields,
            {"doc_id": _key_type(table, embeddings)},
            table.index(embeddings),
            vectors is None,
        )
        return [HybridHit(*row) for row in rows]

    def search_parents(
        self,
        source: str,
        query: str | npt.ArrayLike,
        parent: str,
        *,
        k: int,
        filter: str | None,
        params: Mapping[str, Any] | None,
        candidates: int | None,
        exact: bool,
        embeddings: str | None,
    ) -> Operation[list[ParentHit]]:
        vectors = yield from self._query(source, query, embeddings)
        if vectors is None:
            return []
        table = yield from self.database.source(source)
        index = table.index(embeddings)
        parent_type = table.column(parent).sql_type
        chunk_type = "bigint" if index is None else table.column(index.key).sql_type
        integers = {parent_type, chunk_type} <= set(_INTEGERS)
        arguments = {
            "source": source,
            "query": vectors,
            "parent": parent,
            "key": None if integers else _Cast(None, _key_form(parent_type) or "pg_catalog.text"),
            "k": k,
            "filter": filter,
            "params": params,
            "candidates": candidates,
            "exact": exact,
            "embeddings": embeddings,
        }
        rows = yield from self._found(
            "search_parents",
            arguments,
            ("parent_id", "score", "doc_id"),
            {"parent_id": parent_type},
            index,
            isinstance(query, str),
        )
        return [ParentHit(*row) for row in rows]

    def rerank(
        self,
        source: str,
        query: str | npt.ArrayLike,
        ids: Sequence[Key],
        *,
        k: int | None,
        embeddings: str | None,
    ) -> Operation[list[Hit]]:
        require_keys("rerank", ids)
        vectors = yield from self._query(source, query, embeddings)
        if vectors is None:
            return []
        table = yield from self.database.source(source)
        arguments = {
            "source": source,
            "query": vectors,
            "ids": _Cast(list(ids), _ids_type(table.key_type(embeddings))),
            "k": k,
            "embeddings": embeddings,
        }
        return (yield from self._hits("rerank", arguments, table, isinstance(query, str)))

    def explain(
        self,
        source: str,
        query: str | npt.ArrayLike,
        doc_id: Key,
        *,
        embeddings: str | None,
        content_column: str,
    ) -> Operation[Explanation]:
        vectors = yield from self._query(source, query, embeddings, fresh=True)
        table = yield from self.database.source(source)
        key = _Cast(doc_id, table.key_type(embeddings))
        in_document = sql.SQL("FROM {} d WHERE d.{} = {}").format(
            quoted(*table.name), quoted(table.key(embeddings)), _placeholder("doc_id", key)
        )
        content: sql.Composable = sql.NULL
        if content_column in table.columns:
            content = sql.SQL("(SELECT d.{} {})").format(quoted(content_column), in_document)
        parameters: dict[str, Any] = {"doc_id": doc_id}
        matches: sql.Composable = sql.SQL("(SELECT NULL, NULL, NULL WHERE false)")
        if vectors is not None:
            arguments = {"query": vectors, "doc_id": key, "source": source}
            if embeddings is not None:
                arguments["embeddings"] = embeddings
            matches = sql.SQL("colbert.maxsim_matches({})").format(_named(arguments))
            parameters = {name: _ready(value) for name, value in arguments.items()}
        rows = yield Query(
            sql.SQL(
                "SELECT EXISTS (SELECT {}), {}, m.* FROM (SELECT) AS one LEFT JOIN {}"
                " AS m (query_position, document_position, similarity) ON true"
                " ORDER BY m.query_position"
            ).format(in_document, content, matches),
            parameters,
        )
        there, text = rows[0][:2]
        if not there:
            raise DocumentMissing(source, doc_id)
        query_tokens = self._tokens("query_tokens", query)
        document_tokens = self._tokens("document_tokens", text)
        found = [
            Match(q, _at(query_tokens, q), d, _at(document_tokens, d), similarity)
            for _, _, q, d, similarity in rows
            if q is not None
        ]
        return Explanation(doc_id, sum(match.similarity for match in found), found, text)

    # What they share

    def _query(
        self,
        source: str,
        query: str | npt.ArrayLike,
        embeddings: str | None,
        *,
        fresh: bool = False,
    ) -> Operation[TokenArray | None]:
        """The query's vectors. Text is encoded, by the model that the index is known to hold.

        None for text of which nothing is left, as in an empty search box: it finds nothing.

        ``fresh`` where no later statement would notice that the source is not what it was: after
        ``SET search_path``, its name may be that of another table.
        """
        yield from self.database.vector_types()
        if fresh:
            yield from self.database.source(source, fresh=True)
        if not isinstance(query, str):
            return TokenArray(query)
        encoder, text = self._text_encoder(), query
        if is_blank(text):
            return None
        table = yield from self.database.source(source)
        if self._differs(table.index(embeddings)):
            table = yield from self.database.source(source, fresh=True)
            self._check_model(source, table.index(embeddings))
        (matrix,) = yield Compute(lambda: encoder.encode_queries([text]))
        return TokenArray(matrix) if len(matrix) else None

    def _hits(
        self, function: str, arguments: Mapping[str, Any], table: Source, encoded: bool
    ) -> Operation[list[Hit]]:
        """The documents and scores of a search."""
        embeddings = arguments["embeddings"]
        keys = {"doc_id": _key_type(table, embeddings)}
        rows = yield from self._found(
            function, arguments, ("doc_id", "score"), keys, table.index(embeddings), encoded
        )
        return [Hit(*row) for row in rows]

    def _found(
        self,
        function: str,
        arguments: Mapping[str, Any],
        columns: Sequence[str],
        keys: Mapping[str, str | None],
        index: Index | None,
        encoded: bool,
    ) -> Operation[list[tuple[Any, ...]]]:
        """The rows of a search. ``keys`` says of which type the keys in some columns are.

        For a query that was encoded here, the model that the index remembers comes with the rows:
        an index may be made anew, of another model, after the last look at it.
        """
        call = _call(function, arguments, ", ".join(_returned(c, keys.get(c)) for c in columns))
        if index is None or not encoded:
            rows = yield call
            return list(rows)
        rows = yield Query(
            sql.SQL(
                "SELECT h.*, (SELECT i.options -> 'model' FROM colbert.indexes i"
                " WHERE i.source = {}::pg_catalog.regclass AND i.embeddings = {}) FROM ({}) AS h"
            ).format(sql.Placeholder("source"), sql.Placeholder("indexed"), call.statement),
            {**call.parameters, "indexed": index.embeddings},
        )
        if rows:
            self._check_model(arguments["source"], index._replace(model=rows[0][-1]))
        return [tuple(row[:-1]) for row in rows]

    def _text_encoder(self) -> TextEncoder:
        if self.encoder is None:
            raise EncoderMissing(
                "text needs an encoder: Client(connection, encoder); or pass vectors"
            )
        return self.encoder

    def _tokens(self, kind: str, text: Any) -> Sequence[TokenText]:
        if self.encoder is None or not isinstance(text, str):
            return ()
        try:
            tokens: Sequence[TokenText] = getattr(self.encoder, kind)(text)
        except ValueError:  # pooled vectors, or a tokenizer without offsets
            return ()
        return tokens

    def _differs(self, index: Index | None) -> bool:
        if self.encoder is None or index is None or index.model is None:
            return False
        return not same_model(index.model, fingerprint_of(self.encoder))

    def _check_model(self, source: str, index: Index | None) -> None:
        if self.encoder is not None and index is not None and self._differs(index):
            raise ModelMismatch(source, index.model or {}, fingerprint_of(self.encoder))


def same_model(known: Mapping[str, Any] | str | None, fingerprint: Mapping[str, Any]) -> bool:
    """Whether an index may hold vectors of the encoder with this fingerprint.

    It remembers a fingerprint, or a mere name of a model or nothing until the first worker comes.
    """
    if isinstance(known, str):
        return known == fingerprint.get("name")
    return known is None or dict(known) == fingerprint


def offsets(encoder: TextEncoder, text: str) -> list[Int4Range | None]:
    """Where in a document's text each of its vectors stands, as ``substr`` counts: from 1.

    None for what the model adds. Meant for a column of type ``int4range[]``.

    Raises:
        ValueError: the vectors are pooled, or the model's tokenizer does not tell offsets.
    """
    return [
        None
        if token.start is None or token.end is None
        else Int4Range(token.start + 1, token.end + 1)
        for token in encoder.document_tokens(text)
    ]


def fingerprint_of(encoder: TextEncoder) -> dict[str, Any]:
    """The encoder's fingerprint, as it looks after a journey through jsonb."""
    model: dict[str, Any] = json.loads(json.dumps(encoder.fingerprint))
    return model


def _key_argument(table: Source, embeddings: str | None) -> _Cast | None:
    """``key => NULL::type``; integer keys take the form of a search that needs no key."""
    form = _key_form(_key_type(table, embeddings))
    return None if form is None else _Cast(None, form)


def _key_type(table: Source, embeddings: str | None) -> str | None:
    """The type of an index's key; None where there is no index."""
    index = table.index(embeddings)
    return None if index is None else table.column(index.key).sql_type


def _key_form(key_type: str | None) -> str | None:
    """The type that ``key`` names: uuid, or text for all others; None for integers."""
    if key_type is None or key_type in _INTEGERS:
        return None
    return "pg_catalog.uuid" if key_type == "uuid" else "pg_catalog.text"


def _returned(column: str, key_type: str | None) -> str:
    """A column of a search's rows; keys that come as text become their own type again."""
    if _key_form(key_type) != "pg_catalog.text":
        return f"r.{column}"
    return f"r.{column}::{key_type} AS {column}".replace("%", "%%")


def _ids_type(key_type: str) -> str:
    """The type of the keys that ``rerank`` takes, by way of their own."""
    by_text = _key_form(key_type) == "pg_catalog.text"
    return f"{key_type}[]::pg_catalog.text[]" if by_text else f"{key_type}[]"


def _at(tokens: Sequence[TokenText], position: int) -> TokenText | None:
    return tokens[position - 1] if 0 < position <= len(tokens) else None


def _converted(values: Iterable[Any], column: Column) -> Iterable[Any]:
    """Keys of type uuid are often kept as text."""
    if column.type != _UUID:
        return values
    return (uuid.UUID(value) if isinstance(value, str) else value for value in values)


_INTEGERS = ("bigint", "integer", "smallint")
_UUID = 2950  # pg_type.oid, fixed in every PostgreSQL
