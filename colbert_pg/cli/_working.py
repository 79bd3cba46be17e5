"""Running a worker: which model it needs, how it ends, and what it does without a connection."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

from colbert_pg.catalog import Model, text_indexes
from colbert_pg.cli._ends import database_message
from colbert_pg.cli._places import Place
from colbert_pg.cli._terminal import err
from colbert_pg.encoding import LOCAL_MODEL, same_model
from colbert_pg.errors import ColbertError
from colbert_pg.worker import Done, Worker


def shared_model(
    connection: psycopg.Connection[Any], tables: list[str] | None, model: str | None
) -> tuple[Any, int | None]:
    """The model that the tables remember, None where none does, and the dimensions they have.

    A mere name is that of a fingerprint beside it. Where a model is named and no table, those of
    other models are left to other workers.
    """
    found = text_indexes(connection, tables)
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


def until_stopped(worker: Worker, work: Callable[[Worker], Done]) -> Done:
    """Work, and end after the batch in hand at Ctrl-C or SIGTERM; a second one ends at once."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, _: object) -> None:
        for each, handler in before.items():
            signal.signal(each, handler)
        worker.stop()

    for number in before:
        signal.signal(number, stop)
    try:
        return work(worker)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def working(
    connection: psycopg.Connection[Any],
    at: Place,
    make: Callable[[psycopg.Connection[Any]], Worker],
    poll: float,
) -> Done:
    """Work on one connection after the other: a server may be restarted under a worker."""
    wait = 1.0
    while True:
        try:
            err.print("Waiting for documents; Ctrl-C ends", style="dim")
            with connection:
                return until_stopped(make(connection), lambda worker: worker.run(poll))
        except psycopg.OperationalError as error:
            if not connection.broken:
                raise
            err.print(f"The connection is lost: {database_message(error)}", markup=False)
        while connection.closed:
            time.sleep(wait)
            wait = min(2 * wait, 60)
            with suppress(psycopg.OperationalError):
                connection = psycopg.connect(at.url, autocommit=True)
        wait = 1.0
