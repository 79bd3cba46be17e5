"""The encoder of a command: the one that was asked for, or the one that an index remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colbert_pg.catalog import Model
from colbert_pg.cli._terminal import err
from colbert_pg.encoding import LOCAL_MODEL
from colbert_pg.encoding._quiet import quiet_models
from colbert_pg.errors import ColbertError

if TYPE_CHECKING:
    from colbert_pg.encoding import Encoder


def encoder_for(
    known: Model | None,
    model: str | None,
    dimensions: int | None = None,
    pool: float | None = None,
) -> Encoder:
    """The encoder that was asked for; what was not asked for is as the index remembers it."""
    if isinstance(known, str):  # the mere name of a model
        known = {"name": known}
    if known is not None:
        dimensions = dimensions or known.get("dimensions")
        pool = pool or known.get("pool_factor")
    with err.status("Loading the model"):
        quiet_models()
        from colbert_pg.encoding import DEFAULT_MODEL, Encoder

        if model is not None:
            return Encoder(model, dimensions=dimensions, pool_factor=pool or 1)
        if known is None or known.get("name") == DEFAULT_MODEL:
            return Encoder.default(dimensions or 128, pool_factor=pool or 1)
        if known.get("name") == LOCAL_MODEL:
            raise ColbertError("the vectors come from a model in a directory: name it by --model")
        return Encoder(
            known["name"],
            revision=known.get("revision"),
            hidden_states=bool(known.get("hidden_states")),
            dimensions=dimensions,
            pool_factor=pool or 1,
        )
