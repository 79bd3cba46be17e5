"""System checks: what models say of indexes, and whether the database has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.core import checks
from django.db import connections, router
from django.db.migrations.executor import MigrationExecutor

from colbert_pg.catalog import INDEXES, IS_INSTALLED, Index
from colbert_pg.django.expressions import is_token_vectors
from colbert_pg.django.indexes import LateInteractionIndex
from colbert_pg.django.search import LateInteractionQuerySet, field_of

_HINT = (
    'Declare it, indexes = [LateInteractionIndex(fields=["{field}"])] in the Meta of the model, '
    "and run makemigrations and migrate."
)
_HINT_DECLARED = (
    "Run makemigrations and migrate. If a migration has made it, somebody has dropped it since: "
    "create it with colbert.create_index."
)


def check_declarations(app_configs: Any = None, **_: Any) -> list[checks.CheckMessage]:
    """Indexes are on arrays of vectors, and those of texts on fields that may be NULL."""
    found: list[checks.CheckMessage] = []
    for model in _models(app_configs):
        for index in _declared(model):
            field = field_of(model, index.field_name)
            if field is None:
                continue  # Django's own check says so
            named = f"{model._meta.label}.{field.name}"
            if not is_token_vectors(field):
                message = f"{named} has a late-interaction index and is no array of vectors."
                hint = "ArrayField(VectorField(dimensions=128)) is one."
                found.append(checks.Error(message, hint=hint, obj=model, id="colbert_pg.E002"))
            elif not field.null and {"text", "pictures"} & set(index.options or {}):
                message = f"{named} is encoded by workers and cannot be NULL."
                hint = "Give it null=True: a document has no array until it is encoded."
                found.append(checks.Error(message, hint=hint, obj=model, id="colbert_pg.E003"))
    return found


def check_databases(
    app_configs: Any = None, databases: Sequence[str] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """Every database has the indexes of the models, once its migrations are applied."""
    found: list[checks.CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if connection.vendor != "postgresql":
            continue
        models = [
            model
            for model in _models(app_configs)
            if router.allow_migrate_model(alias, model) and (_declared(model) or _searched(model))
        ]
        if not models:
            continue
        migrating = _migrating(connection)
        tables = connection.introspection.table_names()
        existing = _existing(connection)
        for model in models:
            table = model._meta.db_table
            if table in tables and model._meta.app_label not in migrating:
                indexed = {column for owner, column in existing if owner == table}
                found += _missing(model, alias, indexed)
    return found


def _missing(model: Any, alias: str, indexed: set[str]) -> Iterator[checks.CheckMessage]:
    """A warning for each index that is declared; if none is, where no field has one."""
    fields, hint = [index.field_name for index in _declared(model)], _HINT_DECLARED
    if not fields and not indexed:
        fields = _searched(model)
        hint = _HINT.format(field=fields[0])
    for name in fields:
        if model._meta.get_field(name).column not in indexed:
            yield checks.Warning(
                f'The database "{alias}" has no late-interaction index on '
                f"{model._meta.label}.{name}.",
                hint=hint,
                obj=model,
                id="colbert_pg.W001",
            )


def _models(app_configs: Any) -> Iterator[Any]:
    configs = apps.get_app_configs() if app_configs is None else app_configs
    for config in configs:
        for model in config.get_models():
            if model._meta.managed and not model._meta.proxy and not model._meta.swapped:
                yield model


def _declared(model: Any) -> list[LateInteractionIndex]:
    return [index for index in model._meta.indexes if isinstance(index, LateInteractionIndex)]


def _searched(model: Any) -> list[str]:
    """The fields of token vectors of a model whose manager can search."""
    if not any(
        issubclass(getattr(manager, "_queryset_class", object), LateInteractionQuerySet)
        for manager in model._meta.managers
    ):
        return []
    return [field.name for field in model._meta.local_concrete_fields if is_token_vectors(field)]


def _migrating(connection: Any) -> set[str]:
    """The applications that have migrations to apply: one of those may make the index."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return {migration.app_label for migration, _ in plan}


def _existing(connection: Any) -> set[tuple[str, str]]:
    """Tables and columns of the indexes of a database."""
    with connection.cursor() as cursor:
        cursor.execute(IS_INSTALLED)
        if cursor.fetchone() != (True,):
            return set()
        cursor.execute(INDEXES)
        return {(index.table, index.embeddings) for index in map(Index.of, cursor.fetchall())}
