"""What a search is of: a mapped class, an alias of one, or a table; and what it is limited to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pgvector.sqlalchemy import HALFVEC, VECTOR
from sqlalchemy import (
    Alias,
    BigInteger,
    ColumnElement,
    Enum,
    Integer,
    String,
    Table,
    Text,
    TypeDecorator,
    Uuid,
    inspect,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.util import AliasedInsp


@dataclass(frozen=True)
class Source:
    """The table that holds the vectors.

    Attributes:
        alias: what the table is called in conditions, where that is an alias.
        limit: a condition for the rows that are instances of a class that inherits.
    """

    table: Table
    alias: Alias | None = None
    limit: ColumnElement[bool] | None = None

    @classmethod
    def of(cls, source: Any, embeddings: str | None) -> Source:
        """The source of a search.

        Raises:
            ValueError: for what is no class and no table, for a class whose vectors are in several
                tables, and for an alias of a join.
        """
        found: Any = inspect(source, raiseerr=False)
        alias = None
        if isinstance(found, AliasedInsp):
            alias = found.selectable
            found = found.mapper
        elif isinstance(found, Alias):
            alias, found = found, found.element
        if isinstance(found, Table):
            return cls(found, alias if isinstance(alias, Alias) else None)
        if not isinstance(found, Mapper):
            raise ValueError(
                f"a mapped class or a table is expected, not {source!r}: search(Document, …)"
            )
        table = _table_of_vectors(found, embeddings)
        if alias is not None and not (isinstance(alias, Alias) and alias.element is table):
            raise ValueError(
                f"this alias of {found.class_.__name__} is of more than the table of the vectors: "
                f"search({found.class_.__name__}, …)"
            )
        return cls(table, alias, _limit(found, table))

    def primary_key(self) -> ColumnElement[Any]:
        """Its primary key of one column.

        Raises:
            ValueError: if it has another one.
        """
        if len(self.table.primary_key.columns) != 1:
            raise ValueError(
                f"table {self.table.fullname} has no primary key of one column: "
                "name the index's key, key=Document.slug"
            )
        (found,) = self.table.primary_key.columns
        return found


def _table_of_vectors(mapper: Mapper[Any], embeddings: str | None) -> Table:
    """The table of a class; where the class inherits from another, the one with the vectors."""
    tables = [table for table in mapper.tables if isinstance(table, Table)]
    if len(tables) > 1:
        with_vectors = [
            table
            for table in tables
            if any(_is_token_vectors(c) and embeddings in (None, c.name) for c in table.columns)
        ]
        if len(with_vectors) != 1:
            raise ValueError(
                f"{mapper.class_.__name__} has token vectors in {len(with_vectors)} tables: "
                "name the column, embeddings=…, or search the class of one table"
            )
        return with_vectors[0]
    if len(tables) != 1:
        raise ValueError(f"{mapper.class_.__name__} is mapped to no table")
    return tables[0]


def _limit(mapper: Mapper[Any], table: Table) -> ColumnElement[bool] | None:
    """Which rows of a table are a class's: of an inheriting one those of its kind alone."""
    if mapper.inherits is None or mapper.concrete:
        return None
    local = mapper.local_table
    if mapper.single:
        assert mapper.polymorphic_on is not None
        kinds = [m.polymorphic_identity for m in mapper.self_and_descendants]
        return mapper.polymorphic_on.in_(kinds)
    if local is not table:
        (key,) = table.primary_key.columns
        (own,) = local.primary_key
        return key.in_(select(own))
    return None


def _is_token_vectors(column: Any) -> bool:
    item = getattr(column.type, "item_type", None)
    return isinstance(column.type, ARRAY) and isinstance(item, VECTOR | HALFVEC)


# Keys: of integers there is a form of each search of its own, of uuids and of text another.


def plain(type_: Any) -> Any:
    return type_.impl_instance if isinstance(type_, TypeDecorator) else type_


def is_integer(type_: Any) -> bool:
    return isinstance(plain(type_), Integer)


def key_form(key_type: Any) -> Any:
    """The type in which keys are returned: their own, or text where there is no form for it."""
    bare = plain(key_type)
    own = isinstance(bare, Integer | Uuid | String) and not isinstance(bare, Enum)
    return key_type if own else Text()


def rerank_form(form: Any) -> Any:
    """The type of the keys that ``rerank`` takes."""
    if is_integer(form):
        return BigInteger()
    return Uuid() if isinstance(plain(form), Uuid) else Text()
