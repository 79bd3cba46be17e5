"""Late interaction in Alembic: operations of migrations, and what autogenerate needs to know.

Importing this module in ``env.py`` gives every revision ``op.install_colbert()``,
``op.uninstall_colbert()``, ``op.create_late_interaction_index("documents")`` and
``op.drop_late_interaction_index("documents")``, on a database as well as in a script (``--sql``).
For autogenerate, ``env.py`` hands two functions on::

    from colbert_pg.alembic import include_object, render_item

    context.configure(…, include_object=include_object, render_item=render_item)

What a model declares and the database lacks is then created by the next revision: pgvector,
colbert_pg, the index. An index that is declared otherwise than it is is made anew::

    embeddings = mapped_column(ARRAY(VECTOR(128), dimensions=1), info=late_interaction_index())

No index is dropped for want of a declaration: only with its column or its table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Literal

import pgvector.sqlalchemy  # noqa: F401  # lets SQLAlchemy reflect its types
from alembic.autogenerate import comparators, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, Operations
from alembic.operations.ops import (
    AddColumnOp,
    AlterColumnOp,
    DropColumnOp,
    DropTableOp,
    ModifyTableOps,
    UpgradeOps,
)
from alembic.runtime.migration import MigrationContext
from alembic.util import DispatchPriority
from sqlalchemy import Connection, Table, text
from sqlalchemy import Index as SchemaIndex
from sqlalchemy.sql.schema import SchemaItem

from colbert_pg._statements import create_index, drop_index
from colbert_pg.catalog import INDEXES, IS_INSTALLED, VECTOR_TYPES, Index
from colbert_pg.install import script, uninstall_script
from colbert_pg.options import Method, Options

__all__ = [
    "CreateLateInteractionIndex",
    "DropLateInteractionIndex",
    "InstallColbert",
    "InstallPgvector",
    "UninstallColbert",
    "include_object",
    "late_interaction_index",
    "render_item",
    "run_script",
]

_INFO = "late_interaction_index"
_RENAMED = "late_interaction_index_renamed_from"

# What others than a declaration set: tune() the knobs, clients and workers the model.
_SET_ELSEWHERE = {
    *("effort", "margin", "candidates", "patience", "nprobe", "hits", "ef_search"),
    "model",
}


# Operations


@Operations.register_operation("install_pgvector")
class InstallPgvector(MigrateOperation):
    """``op.install_pgvector()``: the extension, if it is not there."""

    @classmethod
    def install_pgvector(cls, operations: Operations) -> None:
        """Create pgvector's extension, if it is not there."""
        operations.invoke(cls())

    def reverse(self) -> LeavePgvector:
        return LeavePgvector()

    def to_diff_tuple(self) -> tuple[str]:
        return ("install_pgvector",)


class LeavePgvector(MigrateOperation):
    """Nothing: others may use pgvector."""

    def reverse(self) -> InstallPgvector:
        return InstallPgvector()

    def to_diff_tuple(self) -> tuple[str]:
        return ("leave_pgvector",)


@Operations.register_operation("install_colbert")
class InstallColbert(MigrateOperation):
    """``op.install_colbert()``: install colbert_pg, or bring it to this package's version."""

    @classmethod
    def install_colbert(cls, operations: Operations) -> None:
        """Install colbert_pg, or bring it to this package's version; pgvector must be there."""
        operations.invoke(cls())

    def reverse(self) -> UninstallColbert:
        return UninstallColbert()

    def to_diff_tuple(self) -> tuple[str]:
        return ("install_colbert",)


@Operations.register_operation("uninstall_colbert")
class UninstallColbert(MigrateOperation):
    """``op.uninstall_colbert()``: remove colbert_pg; an error while it has indexes."""

    @classmethod
    def uninstall_colbert(cls, operations: Operations) -> None:
        """Remove colbert_pg; an error while it has indexes, or other objects need it."""
        operations.invoke(cls())

    def reverse(self) -> InstallColbert:
        return InstallColbert()

    def to_diff_tuple(self) -> tuple[str]:
        return ("uninstall_colbert",)


@Operations.register_operation("create_late_interaction_index")
class CreateLateInteractionIndex(MigrateOperation):
    """``op.create_late_interaction_index(…)``: ``colbert.create_index``."""

    def __init__(self, index: Index, concurrently: bool = False) -> None:
        self.index = index
        self.concurrently = concurrently

    @classmethod
    def create_late_interaction_index(
        cls,
        operations: Operations,
        source: str,
        embeddings: str = "embeddings",
        *,
        method: Method | None = None,
        options: Options | None = None,
        key: str | None = None,
        schema: str | None = None,
        concurrently: bool = False,
    ) -> None:
        """Index a column of token vectors: ``colbert.create_index``.

        With ``concurrently`` others may write meanwhile: ``colbert.create_index_concurrently``, in
        an autocommit block. What the migration did before it is committed then.
        """
        index = Index(source, embeddings, method, options, key, schema)
        operations.invoke(cls(index, concurrently))

    def reverse(self) -> DropLateInteractionIndex:
        return DropLateInteractionIndex(self.index)

    def to_diff_tuple(self) -> tuple[str, Index]:
        return ("create_late_interaction_index", self.index)


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

    def to_diff_tuple(self) -> tuple[str, Index]:
        return ("drop_late_interaction_index", self.index)


class RenameColumn(AlterColumnOp):
    """``op.alter_column(…, new_column_name=…)``, which is undone in the same way."""

    def reverse(self) -> RenameColumn:
        assert self.modify_name is not None
        return RenameColumn(
            self.table_name, self.modify_name, schema=self.schema, modify_name=self.column_name
        )

    def to_diff_tuple(self) -> Any:
        return [("rename_column", self.schema, self.table_name, self.column_name, self.modify_name)]


@Operations.implementation_for(InstallPgvector)
def _install_pgvector(operations: Operations, _: InstallPgvector) -> None:
    run_script(operations.get_context(), "CREATE EXTENSION IF NOT EXISTS vector;")


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
        index.source,
        index.embeddings,
        method=index.method,
        options=index.options,
        key=index.key,
        concurrently=operation.concurrently,
    )
    context = operations.get_context()
    with context.autocommit_block() if operation.concurrently else nullcontext():
        run_script(context, statement + ";")


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
    method: Method | None = None,
    options: Options | None = None,
    key: str | None = None,
    renamed_from: str | None = None,
) -> dict[str, Any]:
    """The ``info`` of a column that shall be indexed.

    Args:
        method, options, key: as of ``colbert.create_index``.
        renamed_from: what the column was called, where the database may not know of its new name:
            it is renamed then, with its contents, and not dropped.
    """
    return {
        _INFO: {"method": method, "options": options, "key": key},
        _RENAMED: renamed_from,
    }


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
        re.fullmatch(r"\(?\(.+ IS NULL\) AND \(.+ IS NOT NULL\)\)?", where, re.DOTALL)
    )


def render_item(type_: str, object: Any, autogen_context: AutogenContext) -> Literal[False]:
    """Let a revision import what it needs to name pgvector's types."""
    if type_ == "type" and type(object).__module__.startswith("pgvector.sqlalchemy"):
        autogen_context.imports.add("import pgvector.sqlalchemy")
    return False


@comparators.dispatch_for("schema", qualifier="postgresql", priority=DispatchPriority.LAST)
def _compare(autogen_context: AutogenContext, upgrade_ops: UpgradeOps, _schemas: Any) -> None:
    """Create what models declare, anew where it is declared otherwise; drop what is in the way.

    Comes last, when it is known what becomes of tables and columns.
    """
    connection = autogen_context.connection
    assert connection is not None
    default_schema = connection.dialect.default_schema_name
    existing = _existing(connection)
    declared = {
        (index.schema or default_schema, index.table, index.embeddings): (index, renamed_from)
        for index, renamed_from in _declared(autogen_context)
    }
    kept, dropped, created = dict(existing), [], []
    for (schema, table, _), (index, old) in declared.items():
        if old is not None and (schema, table, old) in existing:
            _rename(upgrade_ops, index, old)
    for place, index in existing.items():
        if _is_in_the_way(upgrade_ops, place, default_schema) or _differs(
            index, declared.get(place)
        ):
            dropped.append(DropLateInteractionIndex(index))
            del kept[place]
            if place not in declared and _stays(upgrade_ops, place, default_schema):
                created.append(CreateLateInteractionIndex(index))
    for place, (index, old) in declared.items():
        if place not in kept:
            was = existing.get(place) or existing.get((*place[:2], old or ""))
            created.append(CreateLateInteractionIndex(_completed(index, was)))
    installed: list[MigrateOperation] = []
    if created and not existing and not connection.scalar(text(IS_INSTALLED)):
        if not connection.execute(text(VECTOR_TYPES)).all():
            installed.append(InstallPgvector())
        installed.append(InstallColbert())
    dropped.sort(key=lambda operation: not _is_staged(operation.index))
    created.sort(key=lambda operation: _is_staged(operation.index))
    upgrade_ops.ops[:] = [*installed, *dropped, *upgrade_ops.ops, *created]


def _is_staged(index: Index) -> bool:
    """Whether it needs the index of another column, its first stage."""
    return "first_stage" in (index.options or {})


def _declared(autogen_context: AutogenContext) -> Iterator[tuple[Index, str | None]]:
    """The indexes that models declare, and what their columns were called."""
    for table in autogen_context.sorted_tables:
        for column in table.columns:
            if _INFO in column.info and autogen_context.run_object_filters(
                table, table.name, "table", False, None
            ):
                yield (
                    Index(table.name, column.name, schema=table.schema, **column.info[_INFO]),
                    column.info.get(_RENAMED),
                )


def _differs(index: Index, declared: tuple[Index, str | None] | None) -> bool:
    """Whether an index is declared, and otherwise than it is.

    What a declaration leaves open is as it is. So are knobs and the model, unless it names them.
    """
    if declared is None:
        return False
    wanted, _ = declared
    if any(
        now is not None and now != before
        for now, before in ((wanted.method, index.method), (wanted.key, index.key))
    ):
        return True
    if wanted.options is None:
        return False
    options = json.loads(json.dumps(dict(wanted.options)))
    return any(
        options.get(name) != (index.options or {}).get(name)
        for name in {*options, *(index.options or {})}
        if name in options or name not in _SET_ELSEWHERE
    )


def _completed(index: Index, was: Index | None) -> Index:
    """An index that takes the place of another: what is not declared is as it was."""
    if was is None:
        return index
    options = was.options if index.options is None else index.options
    if was.model is not None and "model" not in (options or {}):
        options = {**(options or {}), "model": was.model}
    return replace(
        index, method=index.method or was.method, options=options, key=index.key or was.key
    )


def _changes(
    upgrade_ops: UpgradeOps, table: str, schema: str | None, default_schema: str | None
) -> Iterator[MigrateOperation]:
    """What becomes of a table and its columns."""
    for operation in upgrade_ops.ops:
        of = getattr(operation, "table_name", None), getattr(operation, "schema", None)
        if (of[0], of[1] or default_schema) == (table, schema):
            yield from operation.ops if isinstance(operation, ModifyTableOps) else [operation]


def _is_in_the_way(
    upgrade_ops: UpgradeOps, place: tuple[Any, str, str], default_schema: str | None
) -> bool:
    """Whether the table goes, or the column goes, is renamed or gets another type."""
    schema, table, name = place
    return any(
        isinstance(change, DropTableOp)
        or (isinstance(change, DropColumnOp) and change.column_name == name)
        or (
            isinstance(change, AlterColumnOp)
            and change.column_name == name
            and (change.modify_type is not None or change.modify_name is not None)
        )
        for change in _changes(upgrade_ops, table, schema, default_schema)
    )


def _stays(
    upgrade_ops: UpgradeOps, place: tuple[Any, str, str], default_schema: str | None
) -> bool:
    """Whether a column whose index is in the way is there afterwards, under the same name."""
    schema, table, name = place
    return not any(
        isinstance(change, DropTableOp)
        or (isinstance(change, DropColumnOp) and change.column_name == name)
        or (isinstance(change, AlterColumnOp) and change.modify_name is not None)
        for change in _changes(upgrade_ops, table, schema, default_schema)
    )


def _rename(upgrade_ops: UpgradeOps, index: Index, old: str) -> None:
    """Rename a column where autogenerate would drop it and add another."""
    for operation in upgrade_ops.ops:
        if not (
            isinstance(operation, ModifyTableOps)
            and (operation.table_name, operation.schema) == (index.table, index.schema)
        ):
            continue
        pair = [
            change
            for change in operation.ops
            if (isinstance(change, DropColumnOp) and change.column_name == old)
            or (isinstance(change, AddColumnOp) and change.column.name == index.embeddings)
        ]
        if len(pair) == 2:
            operation.ops = [change for change in operation.ops if change not in pair]
            operation.ops.append(
                RenameColumn(index.table, old, schema=index.schema, modify_name=index.embeddings)
            )


def _existing(connection: Connection) -> dict[tuple[Any, str, str], Index]:
    """The indexes of the database by schema, table and column."""
    if not connection.scalar(text(IS_INSTALLED)):
        return {}
    found = [Index.of(row) for row in connection.execute(text(INDEXES))]
    return {(index.schema, index.table, index.embeddings): index for index in found}


@renderers.dispatch_for(InstallPgvector)
def _render_pgvector(autogen_context: AutogenContext, _: InstallPgvector) -> str:
    autogen_context.imports.add(f"import {__name__}")
    return "op.install_pgvector()"


@renderers.dispatch_for(LeavePgvector)
def _render_leave(_context: AutogenContext, _: LeavePgvector) -> str:
    return "# pgvector stays: others may use it"


@renderers.dispatch_for(InstallColbert)
def _render_install(autogen_context: AutogenContext, _: InstallColbert) -> str:
    autogen_context.imports.add(f"import {__name__}")
    return "op.install_colbert()"


@renderers.dispatch_for(UninstallColbert)
def _render_uninstall(_context: AutogenContext, _: UninstallColbert) -> str:
    return "op.uninstall_colbert()"


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
