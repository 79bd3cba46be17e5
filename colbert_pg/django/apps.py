"""The application ``colbert_pg.django``: lets every connection read arrays of vectors."""

from __future__ import annotations

from typing import Any

import psycopg
from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate
from psycopg.adapt import Dumper
from psycopg.types import TypeInfo

from colbert_pg._statements import FORGET_DROPPED
from colbert_pg.catalog import IS_INSTALLED, VECTOR_TYPES, VectorTypes
from colbert_pg.vectors import as_matrix, literal


class ColbertConfig(AppConfig):
    name = "colbert_pg.django"
    label = "colbert_pg"
    verbose_name = "colbert_pg"

    def ready(self) -> None:
        from colbert_pg.django import checks

        connection_created.connect(_register, dispatch_uid="colbert_pg")
        post_migrate.connect(_forget_dropped, sender=self, dispatch_uid="colbert_pg")
        register(checks.check_declarations, Tags.models)
        register(checks.check_databases, Tags.database)


def register_vector_arrays(connection: Any) -> None:
    """Let a Django connection return ``vector[]`` and ``halfvec[]`` as lists of what pgvector's
    fields read, one text a vector; without this, psycopg returns one text for the whole array.
    NumPy's matrices become values of such a field.

    Does nothing where pgvector is not there (yet).
    """
    if connection.vendor != "postgresql" or not isinstance(
        connection.connection, psycopg.Connection
    ):
        return
    with connection.cursor() as cursor:
        cursor.execute(VECTOR_TYPES)
        row = cursor.fetchone()
    if row is not None:
        types = VectorTypes(*row)
        for info in (
            TypeInfo("vector", types.vector, types.vector_array),
            TypeInfo("halfvec", types.halfvec, types.halfvec_array),
        ):
            info.register(connection.connection)
    connection.connection.adapters.register_dumper("numpy.ndarray", _MatrixDumper)


class _MatrixDumper(Dumper):
    """A matrix of token vectors as a value for a field, which casts it to its type."""

    def dump(self, obj: Any) -> bytes:
        return literal(as_matrix(obj)).encode()


def _register(connection: Any, **_: Any) -> None:
    register_vector_arrays(connection)


def _forget_dropped(using: str, **_: Any) -> None:
    """A deleted model takes its table away, and leaves what was derived from it."""
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(IS_INSTALLED)
            if cursor.fetchone() == (True,):
                cursor.execute(FORGET_DROPPED)
