"""ColBERT-style late interaction for any PostgreSQL that has pgvector: the Python side.

``Client`` and ``AsyncClient`` call the SQL functions on your own connection, ``Encoder`` turns text
into token vectors, ``EmbeddedServer`` is a PostgreSQL to try it on. The parts load when they are
first used: a client that sends vectors needs neither PyTorch nor a server.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from colbert_pg._extras import explained

if TYPE_CHECKING:
    from colbert_pg.client import (
        AsyncClient,
        Client,
        Explanation,
        Hit,
        HybridHit,
        Match,
        ParentHit,
        Problem,
        Recall,
        Stage,
        Trial,
    )
    from colbert_pg.embedded import EmbeddedServer
    from colbert_pg.encoding import Encoder, QueryCache
    from colbert_pg.errors import (
        BadPicture,
        ColbertError,
        DocumentMissing,
        EmbeddedServerError,
        EncoderMissing,
        ModelMismatch,
        NotInstalled,
    )
    from colbert_pg.worker import Worker

__all__ = [
    "AsyncClient",
    "BadPicture",
    "Client",
    "ColbertError",
    "DocumentMissing",
    "EmbeddedServer",
    "EmbeddedServerError",
    "Encoder",
    "EncoderMissing",
    "Explanation",
    "Hit",
    "HybridHit",
    "Match",
    "ModelMismatch",
    "NotInstalled",
    "ParentHit",
    "Problem",
    "QueryCache",
    "Recall",
    "Stage",
    "Trial",
    "Worker",
]

_MODULES = {
    "client": (
        "AsyncClient",
        "Client",
        "Explanation",
        "Hit",
        "HybridHit",
        "Match",
        "ParentHit",
        "Problem",
        "Recall",
        "Stage",
        "Trial",
    ),
    "embedded": ("EmbeddedServer",),
    "encoding": ("Encoder", "QueryCache"),
    "errors": (
        "BadPicture",
        "ColbertError",
        "DocumentMissing",
        "EmbeddedServerError",
        "EncoderMissing",
        "ModelMismatch",
        "NotInstalled",
    ),
    "worker": ("Worker",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            try:
                return getattr(import_module(f"colbert_pg.{module}"), name)
            except ImportError as error:
                told = explained(error)
                if told is error:
                    raise
                raise told from error
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
