"""Late interaction in Alembic: operations of migrations, and what autogenerate needs to know.

Importing this module in ``env.py`` gives every revision ``op.install_colbert()``,
``op.uninstall_colbert()``, ``op.create_late_interaction_index("documents")`` and
``op.drop_late_interaction_index("documents")``, on a database as well as in a script (``--sql``).
For autogenerate, ``env.py`` hands two functions on::

    from colbert_pg.alembic import include_object, render_item

    context.configure(…, include_object=include_object, render_item=render_item)

An index that a model declares and the database lacks is then created by the next revision::

    embeddings = mapped_column(ARRAY(VECTOR(128), dimensions=1), info=late_interaction_index())

No revision is made that changes or drops an index because of what a model says, but for one that
drops the table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import pgvector.sqlalchemy  # noqa: F401  # lets SQLAlchemy reflect its types
from alembic.autogenerate import comparators, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, Operations
from alembic.operations.ops import DropTableOp, UpgradeOps
from alembic.runtime.migration import MigrationContext
from alembic.util import DispatchPriority
from sqlalchemy import Connection, Table, text
from sqlalchemy import Index as SchemaIndex
from sqlalchemy.sql.schema import SchemaItem

from colbert_pg._statements import create_index, drop_index
from colbert_pg.catalog import INDEXES, IS_INSTALLED, Index
from colbert_pg.install import script, uninstall_script

__all__ = [
    "CreateLateInteractionIndex",
    "DropLateInteractionIndex",
    "InstallColbert",
    "UninstallColbert",
    "include_object",
    "late_interaction_index",
    "render_item",
    "run_script",
]

_INFO = "late_interaction_index"


# Operations


@Operations.register_operation("install_colbert")
class InstallColbert(MigrateOperation):
    """``op.install_colbert()``: install colbert_pg, or bring it to this package's version."""

    @classmethod
    def install_colbert(cls, operations: Operations) -> None:
        """Install colbert_pg, or bring it to this package's version; pgvector must be there."""
        operations.invoke(cls())

    def reverse(self) -> UninstallColbert:
        return UninstallColbert()


@Operations.register_operation("uninstall_colbert")
class UninstallColbert(MigrateOperation):
    """``op.uninstall_colbert()``: remove colbert_pg; an error while it has indexes."""

    @classmethod
    def uninstall_colbert(cls, operations: Operations) -> None:
        """Remove colbert_pg; an error while it has indexes, or other objects need it."""
        operations.invoke(cls())

    def reverse(self) -> InstallColbert:
        return InstallColbert()


@Operations.register_operation("create_late_interaction_index")
class CreateLateInteractionIndex(MigrateOperation):
    """``op.create_late_interaction_index(…)``: ``colbert.create_index``."""

    def __init__(self, index: Index) -> None:
        self.index = index

    @classmethod
    def create_late_interaction_index(
        cls,
        operations: Operations,
        source: str,
        embeddings: str = "embeddings",
        *,
        method: str | None = None,
        options: Mapping[str, Any] | None = None,
        key: str | None = None,
        schema: str | None = None,
    ) -> None:
        """Index a column of token vectors: ``colbert.create_index``."""
        operations.invoke(cls(Index(source, embeddings, method, options, key, schema)))

    def reverse(self) -> DropLateInteractionIndex:
        return DropLateInteractionIndex(self.index)


@Operations.register_operation("drop_late_interaction_index")
class DropLateInteractionIndex(MigrateOperation):
    """``op.drop_late_interaction_index(…)``: ``colbert.drop_index``."""

    def __init__(self, index: Index) -> None:
        self.index = index

    @classmethod
    def drop_late_interaction_index(
        cls,
        operations: Operations,
        source: str,
        embeddings: str = "embeddings",
        *,
        schema: str | None = None,
    ) -> None:
        """Drop the index, not its source: ``colbert.drop_index``."""
        operations.invoke(cls(Index(source, embeddings, schema=schema)))

    def reverse(self) -> CreateLateInteractionIndex:
        return CreateLateInteractionIndex(self.index)


@Operations.implementation_for(InstallColbert)
def _install(operations: Operations, _: InstallColbert) -> None:
    run_script(operations.get_context(), script())


@Operations.implementation_for(UninstallColbert)
def _uninstall(operations: Operations, _: UninstallColbert) -> None:
    run_script(operations.get_context(), uninstall_script())


@Operations.implementation_for(CreateLateInteractionIndex)
def _create(operations: Operations, operation: CreateLateInteractionIndex) -> None:
    index = operation.index
    statement = create_index(
        index.source, index.embeddings, method=index.method, options=index.options, key=index.key
    )
    run_script(operations.get_context(), statement + ";")


@Operations.implementation_for(DropLateInteractionIndex)
def _drop(operations: Operations, operation: DropLateInteractionIndex) -> None:
    index = operation.index
    run_script(
        operations.get_context(),
        drop_index(index.source, index.embeddings) + ";",
    )


def run_script(context: MigrationContext, script: str) -> None:
    """Run SQL as it stands, or write it down (``--sql``).

    It may be many statements, and is none of SQLAlchemy's: a colon or a percent sign is text.
    """
    if context.as_sql:
        context.impl.static_output(script)
    else:
        assert context.bind is not None
        # Of this statement alone: Connection.execution_options would change all that follow.
        context.bind.exec_driver_sql(script, execution_options={"no_parameters": True})


# Autogenerate


def late_interaction_index(
    *,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    key: str | None = None,
) -> dict[str, Any]:
    """The ``info`` of a column that shall be indexed; arguments as of ``colbert.create_index``."""
    return {_INFO: {"method": method, "options": options, "key": key}}


def include_object(
    object: SchemaItem,
    name: str | None,
    type_: Literal[
        "schema", "table", "column", "index", "unique_constraint", "foreign_key_constraint"
    ],
    reflected: bool,
    compare_to: SchemaItem | None,
) -> bool:
    """Whether autogenerate looks at an object: not at what belongs to colbert_pg.

    That is the schema ``colbert``, what an index derives beside its source, which its comment
    says, its index of pending documents on the source, and the table in which colbert_pg's own
    revisions keep their version.
    """
    if isinstance(object, SchemaIndex):
        return not (reflected and compare_to is None and _is_of_pending_documents(object))
    return not (
        reflected
        and isinstance(object, Table)
        and (
            object.schema == "colbert"
            or object.name == "colbert_pg_alembic_version"
            or (object.comment or "").startswith("colbert_pg: part of late-interaction index ")
        )
    )


def _is_of_pending_documents(index: SchemaIndex) -> bool:
    """Whether an index is that of the rows with a text and no array, by its name and condition."""
    where = str(index.dialect_options["postgresql"]["where"])
    return (index.name or "").endswith("_pending") and bool(
        re.fullmatch(r"\(?\(.+ IS NULL\) AND \(.+ IS NOT NULL\)\)?", where)
    )


def render_item(type_: str, object: Any, autogen_context: AutogenContext) -> Literal[False]:
    """Let a revision import what it needs to name pgvector's types."""
    if type_ == "type" and type(object).__module__.startswith("pgvector.sqlalchemy"):
        autogen_context.imports.add("import pgvector.sqlalchemy")
    return False


@comparators.dispatch_for("schema", qualifier="postgresql", priority=DispatchPriority.LAST)
def _compare(autogen_context: AutogenContext, upgrade_ops: UpgradeOps, _: Any) -> None:
    """Create what models declare and the database lacks; drop what stands on a table that goes.

    Comes last, when it is known which tables go.
    """
    connection = autogen_context.connection
    assert connection is not None
    default_schema = connection.dialect.default_schema_name
    existing = {
        (index.schema, index.table, index.embeddings): index for index in _existing(connection)
    }
    for index in existing.values():
        if any(
            isinstance(operation, DropTableOp)
            and operation.table_name == index.table
            and (operation.schema or default_schema) == index.schema
            for operation in upgrade_ops.ops
        ):
            upgrade_ops.ops.insert(0, DropLateInteractionIndex(index))
    for table in autogen_context.sorted_tables:
        for column in table.columns:
            if (
                _INFO in column.info
                and (table.schema or default_schema, table.name, column.name) not in existing
                and autogen_context.run_object_filters(table, table.name, "table", False, None)
            ):
                index = Index(table.name, column.name, schema=table.schema, **column.info[_INFO])
                upgrade_ops.ops.append(CreateLateInteractionIndex(index))


def _existing(connection: Connection) -> list[Index]:
    """The indexes of the database, with their schemas."""
    if not connection.scalar(text(IS_INSTALLED)):
        return []
    return [Index.of(row) for row in connection.execute(text(INDEXES))]


@renderers.dispatch_for(CreateLateInteractionIndex)
def _render_create(autogen_context: AutogenContext, operation: CreateLateInteractionIndex) -> str:
    index = operation.index
    rest = {"method": index.method, "options": index.options, "key": index.key}
    return _rendered(autogen_context, "create", index, rest)


@renderers.dispatch_for(DropLateInteractionIndex)
def _render_drop(autogen_context: AutogenContext, operation: DropLateInteractionIndex) -> str:
    return _rendered(autogen_context, "drop", operation.index, {})


def _rendered(
    autogen_context: AutogenContext, verb: str, index: Index, rest: Mapping[str, Any]
) -> str:
    autogen_context.imports.add(f"import {__name__}")
    given = {**rest, "schema": index.schema}
    more = "".join(f", {name}={value!r}" for name, value in given.items() if value is not None)
    return f"op.{verb}_late_interaction_index({index.table!r}, {index.embeddings!r}{more})"
