"""Which model a worker needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

from colbert_pg.catalog import Model, encoded_indexes
from colbert_pg.encoding import LOCAL_MODEL, same_model
from colbert_pg.errors import ColbertError


def shared_model(
    connection: psycopg.Connection[Any],
    tables: list[str] | None,
    model: str | None,
    *,
    paths: bool,
) -> tuple[Any, int | None]:
    """The model that the tables remember, None where none does, and the dimensions they have.

    A mere name is that of a fingerprint beside it. Where a model is named and no table, those of
    other models are left to other workers; where no table is named, those with paths of pictures
    are too, unless this worker takes ``paths``.
    """
    found = encoded_indexes(connection, tables)
    if tables is None and not paths:
        found = [index for index in found if not index.paths]
    if tables is None and model is not None:
        name = LOCAL_MODEL if Path(model).is_dir() else model
        found = [index for index in found if same_model(_name(index.model), {"name": name})]
    models: list[Any] = []
    for index in found:
        if index.model is not None and index.model not in models:
            models.append(index.model)
    whole = [known for known in models if not isinstance(known, str)]
    models = whole + [
        known
        for known in models
        if isinstance(known, str) and not any(same_model(known, other) for other in whole)
    ]
    dimensions = {index.dimensions for index in found}
    if len(models) > 1 or len(dimensions) > 1:
        raise ColbertError(
            "the tables have vectors of different models: start a worker for each, with --table"
        )
    return models[0] if models else None, dimensions.pop() if dimensions else None


def _name(model: Model | None) -> str | None:
    return model.get("name") if isinstance(model, Mapping) else model
