"""What the catalog of a database knows: pgvector's types, tables, and their indexes.

Nothing else asks for them. Statements with names in capitals are for whoever has a cursor of
another library; their rows go through the ``of`` of a class.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg

from colbert_pg._cursors import rows
from colbert_pg._statements import sql_name
from colbert_pg.errors import NO_SCHEMA, NotInstalled

Model = Mapping[str, Any] | str  # a fingerprint, or the mere name of a model

# What is installed

#: One row: whether colbert_pg is.
IS_INSTALLED = "SELECT pg_catalog.to_regclass('colbert.indexes') IS NOT NULL"


def installed_version(connection: psycopg.Connection[Any]) -> str | None:
    """The version of colbert_pg in the database; None where it is not installed."""
    ((function,),) = rows(
        connection, "SELECT pg_catalog.to_regprocedure('colbert.version()')::pg_catalog.text"
    )
    if function is None:
        return None
    ((version,),) = rows(connection, "SELECT colbert.version()")
    return str(version)


def extensions(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """The extensions of the database, and their versions."""
    return dict(rows(connection, "SELECT extname, extversion FROM pg_catalog.pg_extension"))


def view_sql(name: str, order: str = "") -> str:
    """The rows of a view of colbert_pg, each as JSON, by an ``ORDER BY`` if one is given."""
    ordered = f" ORDER BY {order}" if order else ""
    return f"SELECT pg_catalog.to_json(v) FROM colbert.{name} AS v{ordered}"


def view(connection: psycopg.Connection[Any], name: str, order: str) -> list[dict[str, Any]]:
    """The rows of a view of colbert_pg."""
    return [row[0] for row in rows(connection, view_sql(name, order))]


# pgvector's types


class VectorTypes(NamedTuple):
    """Object identifiers of pgvector's types in one database, where they differ from the next's."""

    vector: int
    vector_array: int
    halfvec: int
    halfvec_array: int


#: Object identifiers of PostgreSQL's own ``bit`` and ``bit[]``.
BIT, BIT_ARRAY = 1560, 1561

#: One row with the four columns of :class:`VectorTypes`, whatever schema pgvector is in; or no row.
VECTOR_TYPES = """
SELECT v.oid AS vector, v.typarray AS vector_array, h.oid AS halfvec, h.typarray AS halfvec_array
  FROM pg_catalog.pg_extension e
  JOIN pg_catalog.pg_type v ON v.typnamespace = e.extnamespace AND v.typname = 'vector'
  JOIN pg_catalog.pg_type h ON h.typnamespace = e.extnamespace AND h.typname = 'halfvec'
 WHERE e.extname = 'vector'
"""

#: The same, and whether colbert_pg is installed.
INSTALLED = f"""
SELECT t.*, ({IS_INSTALLED}) FROM ({VECTOR_TYPES}) AS t
"""


def types_of(installed: Sequence[Any]) -> VectorTypes:
    """The types in the rows of :data:`INSTALLED`.

    Raises:
        NotInstalled: if the database lacks pgvector or colbert_pg.
    """
    if not installed:
        raise NotInstalled("this database has no pgvector: run CREATE EXTENSION vector")
    *types, is_installed = installed[0]
    if not is_installed:
        raise NotInstalled(NO_SCHEMA)
    return VectorTypes(*types)


def vector_types(connection: psycopg.Connection[Any]) -> VectorTypes:
    """pgvector's types in a database where colbert_pg is installed.

    Raises:
        NotInstalled: if it is not, or pgvector is not.
    """
    return types_of(rows(connection, INSTALLED))


def vector_schema(connection: psycopg.Connection[Any]) -> str:
    """The schema that pgvector is in."""
    ((schema,),) = rows(
        connection,
        "SELECT n.nspname FROM pg_catalog.pg_extension e"
        " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'",
    )
    return str(schema)


# Indexes


class FirstStage(NamedTuple):
    """How a worker makes the vectors of a first stage from those of the index.

    ``pool`` is about how many vectors one stands for, ``dimensions`` how many each has.
    """

    pool: float
    dimensions: int


@dataclass(frozen=True)
class Index:
    """A late-interaction index, as the registry knows it or ``colbert.create_index`` takes it.

    ``name`` is how its user calls the table, where that is known. In what :func:`encoded_indexes`
    returns, ``paths`` tells whether its pictures are paths of files, and ``first_stage`` what
    workers fill beside it.
    """

    table: str
    embeddings: str = "embeddings"
    method: str | None = None
    options: Mapping[str, Any] | None = None
    key: str | None = None
    schema: str | None = None
    dimensions: int | None = None
    name: str | None = field(default=None, compare=False)
    paths: bool = field(default=False, compare=False)
    first_stage: FirstStage | None = field(default=None, compare=False)

    @classmethod
    def of(
        cls,
        row: Sequence[Any],
        name: str | None = None,
        paths: bool = False,
        first_stage: FirstStage | None = None,
    ) -> Index:
        """An index from a row of :data:`INDEXES`."""
        table, embeddings, method, options, key, schema, dimensions = row
        options = json.loads(options) if isinstance(options, str) else options
        return cls(
            table, embeddings, method, options, key, schema, dimensions, name, paths, first_stage
        )

    @property
    def source(self) -> str:
        """The table as SQL writes it."""
        return self.name or sql_name(self.table, self.schema)

    @property
    def model(self) -> Model | None:
        """The model whose vectors the index holds: its fingerprint, its mere name, or None."""
        model: Model | None = (self.options or {}).get("model")
        return model

    @property
    def text(self) -> str:
        """The texts: the column or the expression that the index names, else column content."""
        return str((self.options or {}).get("text", "content"))

    @property
    def pictures(self) -> str | None:
        """The column of pictures that workers encode, if the index names one."""
        return (self.options or {}).get("pictures")


_INDEX = "c.relname, i.embeddings, i.method, i.options, i.key, n.nspname, i.dimensions"

#: A row for :meth:`Index.of` for each index of the database.
INDEXES = f"""
SELECT {_INDEX}
  FROM colbert.indexes i
  JOIN pg_catalog.pg_class c ON c.oid = i.source
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 ORDER BY n.nspname, c.relname, i.embeddings
"""

#: The same for the index on a column, if there is one, by ``source`` and ``embeddings``.
INDEX_OF = f"""
SELECT {_INDEX}
  FROM colbert.indexes i
  JOIN pg_catalog.pg_class c ON c.oid = i.source
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE i.source = %(source)s::pg_catalog.regclass AND i.embeddings = %(embeddings)s
"""

#: The options of the index on a column, as an expression, by ``source`` and ``indexed``.
OPTIONS_NOW = """
(SELECT i.options FROM colbert.indexes i
  WHERE i.source = %(source)s::pg_catalog.regclass AND i.embeddings = %(indexed)s)
"""

# Of a first stage: by what its vectors are pooled, as its index remembers it, and their dimensions.
# A worker leaves a column alone that PostgreSQL generates, and one of which it is told neither.
_ENCODED_INDEXES = f"""
SELECT i.source::pg_catalog.text,
       EXISTS (SELECT
                 FROM pg_catalog.pg_attribute a
                 JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
                WHERE a.attrelid = i.source AND a.attname = i.options ->> 'pictures'
                  AND t.typcategory = 'S'),
       (SELECT ARRAY[coalesce(p.factor, 1), f.dimensions]
          FROM colbert.indexes f
          JOIN pg_catalog.pg_attribute a ON a.attrelid = f.source AND a.attname = f.embeddings
         CROSS JOIN LATERAL (
               SELECT CASE WHEN pg_catalog.jsonb_typeof(f.options #> '{{model,pool_factor}}')
                                = 'number'
                           THEN (f.options #>> '{{model,pool_factor}}')::pg_catalog.float8 END
             ) AS p (factor)
         WHERE f.source = i.source AND f.embeddings = i.options ->> 'first_stage'
           AND a.attgenerated = ''
           AND (p.factor IS NOT NULL OR f.dimensions < i.dimensions)),
       {_INDEX}
  FROM colbert.indexes i
  JOIN pg_catalog.pg_class c ON c.oid = i.source
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE i.options ?| ARRAY['text', 'pictures']
"""

_MINE = """
   AND CASE WHEN pg_catalog.has_any_column_privilege(i.source, 'SELECT')
             AND pg_catalog.has_any_column_privilege(i.source, 'UPDATE')
            THEN i.state <> 'broken' END
 ORDER BY 1, i.embeddings
"""


def encoded_indexes(
    connection: psycopg.Connection[Any], sources: Sequence[str] | None = None
) -> list[Index]:
    """The indexes that name a column of texts or pictures for workers to encode.

    Those that may be written by this role, or those of ``sources``.

    Raises:
        ValueError: if a table of ``sources`` has no such index.
        psycopg.Error: if there is no such table.
    """

    def of(row: Sequence[Any], source: str | None = None) -> Index:
        name, paths, stage, *known = row
        first_stage = None if stage is None else FirstStage(stage[0], int(stage[1]))
        return Index.of(known, source or name, paths, first_stage)

    if sources is None:
        return [of(row) for row in rows(connection, _ENCODED_INDEXES + _MINE)]
    found = []
    for source in sources:
        named = rows(
            connection,
            _ENCODED_INDEXES + " AND i.source = %(source)s::pg_catalog.regclass",
            {"source": source},
        )
        if not named:
            raise ValueError(f"no index of table {source} names a column of texts or pictures")
        found += [of(row, source) for row in named]
    return found


# Tables


class Column(NamedTuple):
    """A column of a table.

    ``type`` is the object identifier of its type, of a domain that of its base type; ``sql_type``
    how SQL writes its type, of any length; ``modifier`` what pgvector keeps the dimensions in.
    ``is_free`` tells whether it takes what is written into it: it is no generated column.
    """

    type: int
    sql_type: str
    modifier: int
    is_free: bool


@dataclass(frozen=True)
class Source:
    """A table as the catalog describes it."""

    schema: str
    table: str
    columns: Mapping[str, Column]
    primary_key: str | None
    indexes: Sequence[Index]

    @classmethod
    def of(cls, row: Sequence[Any]) -> Source:
        """A table from the row of :data:`SOURCE`."""
        schema, table, columns, primary_key, indexes = row
        return cls(
            schema,
            table,
            {name: Column(*column) for name, *column in columns or ()},
            primary_key,
            [Index.of(index) for index in indexes],
        )

    @property
    def identifier(self) -> tuple[str, str]:
        return self.schema, self.table

    def index(self, embeddings: str | None = None) -> Index | None:
        """The index on a column; without a name, the only one that is no other's first stage."""
        stages = {(index.options or {}).get("first_stage") for index in self.indexes}
        found = [
            index
            for index in self.indexes
            if embeddings == index.embeddings
            or (embeddings is None and index.embeddings not in stages)
        ]
        return found[0] if len(found) == 1 else None

    def column(self, name: str) -> Column:
        if name not in self.columns:
            raise ValueError(f'table "{self.table}" has no column "{name}"')
        return self.columns[name]

    def key(self, embeddings: str | None) -> str:
        """The key of an index; without an index, the primary key."""
        index = self.index(embeddings)
        if index is not None and index.key is not None:
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
            if column.type in (types.vector_array, types.halfvec_array, BIT_ARRAY)
        ]
        if "embeddings" in arrays:
            return "embeddings"
        if len(arrays) == 1:
            return arrays[0]
        raise ValueError(
            f'table "{self.table}" has {len(arrays)} columns of token vectors: name one of them'
        )


_SOURCE = f"""
SELECT n.nspname, c.relname,
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
                 a.attname,
                 CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END::pg_catalog.int8,
                 pg_catalog.format_type(a.atttypid, -1),
                 a.atttypmod,
                 a.attgenerated = '' AND a.attidentity <> 'a'))
          FROM pg_catalog.pg_attribute a
          JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       (SELECT a.attname
          FROM pg_catalog.pg_index p
          JOIN pg_catalog.pg_attribute a ON a.attrelid = p.indrelid AND a.attnum = p.indkey[0]
         WHERE p.indrelid = c.oid AND p.indisprimary AND p.indnkeyatts = 1),
       (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array({_INDEX})
                                            ORDER BY i.embeddings), '[]')
          FROM colbert.indexes i
         WHERE i.source = c.oid)
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
"""

#: The row for :meth:`Source.of` of the table ``source``; an error of the server if there is none.
SOURCE = _SOURCE + " WHERE c.oid = %(source)s::pg_catalog.regclass"


def source(connection: psycopg.Connection[Any], name: str) -> Source | None:
    """A table by its name as SQL writes it; None if there is none."""
    found = rows(
        connection,
        _SOURCE + " WHERE c.oid = pg_catalog.to_regclass(%(source)s)",
        {"source": name},
    )
    return Source.of(found[0]) if found else None
