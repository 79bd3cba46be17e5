"""Operations of migrations: installing colbert_pg, creating and dropping indexes.

    operations = [
        VectorExtension(),  # of pgvector.django
        InstallColbert(),
        migrations.CreateModel("Document", …),
        CreateLateInteractionIndex("document"),
    ]

They change the database, not the state of the models.
"""

from __future__ import annotations

from typing import Any

from django.db import NotSupportedError, router
from django.db.migrations.operations.base import Operation

from colbert_pg._statements import FORGET_DROPPED, create_index, drop_index
from colbert_pg.django.apps import register_vector_arrays
from colbert_pg.install import script, uninstall_script
from colbert_pg.options import Method, Options


class _DatabaseOperation(Operation):
    reduces_to_sql = True
    reversible = True

    def state_forwards(self, app_label: str, state: Any) -> None:
        """The state of the models stays as it is."""


class InstallColbert(_DatabaseOperation):
    """Install colbert_pg, or bring it to this package's version; pgvector must be there.

    Backwards it is removed: an error while it has indexes.
    """

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if self._is_meant(app_label, schema_editor):
            schema_editor.execute(script(), params=None)
            register_vector_arrays(schema_editor.connection)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if self._is_meant(app_label, schema_editor):
            schema_editor.execute(FORGET_DROPPED, params=None)
            schema_editor.execute(uninstall_script(), params=None)

    def describe(self) -> str:
        return "Install colbert_pg"

    @property
    def migration_name_fragment(self) -> str:
        return "install_colbert"

    def _is_meant(self, app_label: str, schema_editor: Any) -> bool:
        connection = schema_editor.connection
        return connection.vendor == "postgresql" and bool(
            router.allow_migrate(connection.alias, app_label)
        )


class _IndexOperation(_DatabaseOperation):
    def __init__(
        self,
        model_name: str,
        embeddings: str = "embeddings",
        *,
        method: Method | None = None,
        options: Options | None = None,
        concurrently: bool = False,
    ) -> None:
        self.model_name = model_name
        self.embeddings = embeddings
        self.method = method
        self.options = options
        self.concurrently = concurrently

    def _create(self, app_label: str, schema_editor: Any, state: Any) -> None:
        self._execute(app_label, schema_editor, state, create=True)

    def _drop(self, app_label: str, schema_editor: Any, state: Any) -> None:
        self._execute(app_label, schema_editor, state, create=False)

    def _execute(self, app_label: str, schema_editor: Any, state: Any, *, create: bool) -> None:
        model = state.apps.get_model(app_label, self.model_name)
        connection = schema_editor.connection
        if connection.vendor != "postgresql" or not self.allow_migrate_model(
            connection.alias, model
        ):
            return
        source = connection.ops.quote_name(model._meta.db_table)
        column = model._meta.get_field(self.embeddings).column
        if create and self.concurrently and connection.in_atomic_block:
            raise NotSupportedError(
                "an index is created concurrently outside of a transaction: "
                "set atomic = False on the migration"
            )
        statement = (
            create_index(
                source,
                column,
                method=self.method,
                options=self.options,
                concurrently=self.concurrently,
            )
            if create
            else drop_index(source, column)
        )
        schema_editor.execute(statement, params=None)


class CreateLateInteractionIndex(_IndexOperation):
    """Index the token vectors of a model: ``colbert.create_index``.

    Args:
        model_name: the model.
        embeddings: its field of token vectors.
        method: exact, hnsw, ivfflat or another method of the server.
        options: of the index.
        concurrently: let others write meanwhile; for migrations with ``atomic = False``.
    """

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._create(app_label, schema_editor, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._drop(app_label, schema_editor, from_state)

    def describe(self) -> str:
        return f"Create a late-interaction index on {self.model_name}.{self.embeddings}"

    @property
    def migration_name_fragment(self) -> str:
        return f"index_{self.model_name.lower()}_{self.embeddings}"


class DropLateInteractionIndex(_IndexOperation):
    """Drop such an index: ``colbert.drop_index``. Arguments say how to create it backwards."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._drop(app_label, schema_editor, from_state)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._create(app_label, schema_editor, to_state)

    def describe(self) -> str:
        return f"Drop the late-interaction index on {self.model_name}.{self.embeddings}"

    @property
    def migration_name_fragment(self) -> str:
        return f"drop_index_{self.model_name.lower()}_{self.embeddings}"
