"""The encoder of the settings: made when it is first needed, then kept.

``COLBERT_PG_ENCODER`` is a function without arguments that returns the encoder, or its dotted path.
Without the setting it is ``Encoder.default``.
"""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from colbert_pg.encoding import TextEncoder
from colbert_pg.vectors import Matrix

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


@lru_cache(maxsize=1)
def _encoder() -> TextEncoder:
    make: Any = getattr(settings, SETTING, None)
    if make is None:
        from colbert_pg.encoding import Encoder

        make = Encoder.default
    elif isinstance(make, str):
        make = import_string(make)
    found: TextEncoder = make()
    return found


def _forget(*, setting: str, **_: Any) -> None:
    if setting == SETTING:
        _encoder.cache_clear()
        encode_query.cache_clear()


setting_changed.connect(_forget, dispatch_uid="colbert_pg")
