"""The application ``colbert_pg.django``: lets every connection read arrays of vectors."""

from __future__ import annotations

from typing import Any

import psycopg
from django.apps import AppConfig
from django.db.backends.signals import connection_created
from psycopg.adapt import Dumper
from psycopg.types import TypeInfo

from colbert_pg.catalog import VECTOR_TYPES, VectorTypes
from colbert_pg.vectors import as_matrix, literal


class ColbertConfig(AppConfig):
    name = "colbert_pg.django"
    label = "colbert_pg"
    verbose_name = "colbert_pg"

    def ready(self) -> None:
        connection_created.connect(_register, dispatch_uid="colbert_pg")


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
