"""The encoder of the settings: made when it is first needed, then kept.

``COLBERT_PG_ENCODER`` is a function without arguments that returns the encoder, or its dotted path.
Without the setting it is ``Encoder.default``. The libraries under it load without a word.
"""

from __future__ import annotations

from functools import lru_cache
from os import getpid
from pathlib import Path
from socket import gethostname
from threading import Lock, get_ident
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.db import connections, router
from django.utils.module_loading import import_string

from colbert_pg.encoding import TextEncoder
from colbert_pg.encoding._quiet import quiet_models
from colbert_pg.vectors import Matrix
from colbert_pg.worker import Done, Worker

SETTING = "COLBERT_PG_ENCODER"

_loading = Lock()


def encoder() -> TextEncoder:
    """The encoder of this process."""
    with _loading:  # a model is large: never load it twice
        return _encoder()


@lru_cache(maxsize=256)
def encode_query(text: str) -> Matrix:
    """The token vectors of a query: a float32 array (tokens, dimensions), not to be written to."""
    (matrix,) = encoder().encode_queries([text])
    matrix.setflags(write=False)
    return matrix


def encode_pending(
    model: Any, *, using: str | None = None, batch: int = 32, pictures: Path | None = None
) -> Done:
    """Encode the documents of a model that have a text and no array, on Django's connection.

    For models whose index names a text column (``options={"text": "content"}``), or one of pictures
    (``options={"pictures": "scan"}``). Whatever has written them, PostgreSQL knows which of them
    are pending: ``save``, ``bulk_create``, ``bulk_update``, ``update`` or SQL. Documents that
    another worker is at are left to it.

    Args:
        model: the model, or an instance of it.
        using: the database. Default: that to which the model is written.
        batch: how many documents to encode at once.
        pictures: the directory that paths of pictures are relative to, such as ``MEDIA_ROOT``.

    Returns:
        How many were encoded, how many failed and wait for another try, and how many were outdated.

    Raises:
        ValueError: if no index of the model names such a column, or the encoder takes no pictures.
        ModelMismatch: if the index holds vectors of another model than the encoder's.
    """
    connection: Any = connections[using or router.db_for_write(model._meta.model)]
    connection.ensure_connection()
    source = connection.ops.quote_name(model._meta.db_table)
    name = f"{gethostname()}:{getpid()}:{get_ident()}"
    worker = _WorkerHere(
        connection.connection, encoder(), [source], batch=batch, name=name, pictures=pictures
    )
    return worker.drain()


class _WorkerHere(Worker):
    """A worker on a connection that others work on, perhaps in a transaction."""

    _in_transaction = True


@lru_cache(maxsize=1)
def _encoder() -> TextEncoder:
    make: Any = getattr(settings, SETTING, None)
    if make is None:
        from colbert_pg.encoding import Encoder

        make = Encoder.default
    elif isinstance(make, str):
        make = import_string(make)
    quiet_models()
    found: TextEncoder = make()
    return found


def _forget(*, setting: str, **_: Any) -> None:
    if setting == SETTING:
        _encoder.cache_clear()
        encode_query.cache_clear()


setting_changed.connect(_forget, dispatch_uid="colbert_pg")
