"""``LateInteractionIndex``: an index in ``Meta.indexes``, which ``makemigrations`` writes.

class Meta:
    indexes = [LateInteractionIndex(fields=["embeddings"])]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import FieldError
from django.db import NotSupportedError
from django.db.backends.ddl_references import Columns, Statement, Table
from django.db.models import Index
from psycopg import sql
from psycopg.types.json import Jsonb

from colbert_pg.django.expressions import is_token_vectors
from colbert_pg.options import Method, Options


class LateInteractionIndex(Index):
    """A late-interaction index on a field of token vectors: ``colbert.create_index``.

    An index that changes is dropped and created anew. Its name is for migrations alone: the
    database knows it by its field, so that a new name changes nothing.

    Args:
        fields: the field, a list of one name.
        method: exact, hnsw, ivfflat, plaid or staged. Default: the server chooses.
        options: of the index, with the names of columns in the database.
        key: the field that names a document. Default: the primary key.
        name: as of every index. Default: made of the names of table and column.
    """

    suffix = "li"

    def __init__(
        self,
        *,
        fields: Sequence[str],
        method: Method | None = None,
        options: Options | None = None,
        key: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(fields=fields, name=name)
        if len(self.fields) != 1 or self.fields[0].startswith("-"):
            raise ValueError(
                "a late-interaction index is on one field of token vectors: "
                'LateInteractionIndex(fields=["embeddings"])'
            )
        self.method = method
        self.options = None if options is None else dict(options)
        self.key = key

    @property
    def field_name(self) -> str:
        """The name of its field."""
        name: str = self.fields[0]
        return name

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        _, arguments, named = super().deconstruct()
        given = {"method": self.method, "options": self.options, "key": self.key}
        named |= {name: value for name, value in given.items() if value is not None}
        return "colbert_pg.django.LateInteractionIndex", arguments, named

    def create_sql(
        self, model: Any, schema_editor: Any, using: str = "", **kwargs: Any
    ) -> Statement:
        field = model._meta.get_field(self.field_name)
        if not is_token_vectors(field):
            raise FieldError(f"{model.__name__}.{field.name} is not an array of vectors")
        arguments: dict[str, Any] = self._source(model, schema_editor)
        if self.method is not None:
            arguments["method"] = _literal(self.method)
        if self.options is not None:
            arguments["options"] = _literal(Jsonb(self.options))
        if self.key is not None:
            arguments["key"] = self._column(model, self.key)
        if kwargs.get("concurrently"):  # AddIndexConcurrently
            return _call("create_index_concurrently", arguments, verb="CALL")
        return _call("create_index", arguments)

    def remove_sql(self, model: Any, schema_editor: Any, **kwargs: Any) -> str:
        if kwargs.get("concurrently"):
            raise NotSupportedError("a late-interaction index is dropped with RemoveIndex")
        # Django has the driver look for parameters in this statement.
        return str(_call("drop_index", self._source(model, schema_editor))).replace("%", "%%")

    def _source(self, model: Any, schema_editor: Any) -> dict[str, Any]:
        quote = schema_editor.connection.ops.quote_name
        return {
            "source": Table(model._meta.db_table, lambda table: _literal(quote(table))),
            "embeddings": self._column(model, self.field_name),
        }

    def _column(self, model: Any, name: str) -> Columns:
        """A column, which follows when an operation of the same migration renames it."""
        return Columns(model._meta.db_table, [model._meta.get_field(name).column], _literal)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LateInteractionIndex):
            return NotImplemented
        return self._identity() == other._identity()

    def _identity(self) -> dict[str, Any]:
        """All that the database knows of it: ``makemigrations`` has nothing to do for a name."""
        _, _, named = self.deconstruct()
        return {**named, "name": None}


def _call(function: str, arguments: Mapping[str, Any], verb: str = "SELECT") -> Statement:
    given = ", ".join(f"{name} => %({name})s" for name in arguments)
    return Statement(f"{verb} colbert.{function}({given})", **arguments)


def _literal(value: Any) -> str:
    return sql.Literal(value).as_string(None)
