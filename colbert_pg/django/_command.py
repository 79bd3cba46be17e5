"""What the commands of ``manage.py`` share: a database of ``DATABASES``, models, their indexes."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from colbert_pg.catalog import INDEXES, IS_INSTALLED, Index
from colbert_pg.errors import NO_SCHEMA


def refuse_transaction(connection: BaseDatabaseWrapper) -> None:
    """For what commits as it goes.

    Raises:
        CommandError: inside of a transaction.
    """
    if connection.in_atomic_block:
        raise CommandError("this commits as it goes: call it outside of a transaction")


class IndexCommand(BaseCommand):
    """A command for the indexes of some models, or of all."""

    requires_system_checks: Sequence[str] = ()
    takes_models = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        if self.takes_models:
            parser.add_argument(
                "models", nargs="*", metavar="app.Model", help="Models. Default: all with an index."
            )
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            choices=tuple(connections),
            help="The database of the settings.",
        )

    def sources(self, labels: Sequence[str], database: str) -> list[str]:
        """The tables of models, as SQL writes them.

        Raises:
            CommandError: for what is no model.
        """
        quote = connections[database].ops.quote_name
        try:
            return [quote(apps.get_model(label)._meta.db_table) for label in labels]
        except (LookupError, ValueError) as error:
            raise CommandError(f"{error}: name models as library.Document") from error

    def indexes(self, labels: Sequence[str], database: str) -> list[Index]:
        """The indexes of models, or of all of the project's.

        Raises:
            CommandError: for what is no model, and for a model without an index.
        """
        quote = connections[database].ops.quote_name
        named = self.sources(labels, database)
        sources = named or [quote(model._meta.db_table) for model in apps.get_models()]
        with connections[database].cursor() as cursor:
            cursor.execute(IS_INSTALLED)
            if cursor.fetchone() != (True,):
                raise CommandError(NO_SCHEMA)
            cursor.execute(INDEXES)
            found = [Index.of(row) for row in cursor.fetchall()]
        chosen = [index for index in found if quote(index.table) in sources]
        for label, source in zip(labels, named, strict=True):
            if not any(quote(index.table) == source for index in chosen):
                raise CommandError(f"{label} has no late-interaction index in this database")
        return chosen
