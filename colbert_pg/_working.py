"""Running a worker: how it ends, and what it does without a connection."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg

from colbert_pg.worker import Done, Worker


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
    connect: Callable[[], psycopg.Connection[Any]],
    make: Callable[[psycopg.Connection[Any]], Worker],
    poll: float,
    tell: Callable[[str], None],
) -> Done:
    """Work on one connection after the other: a server may be restarted under a worker."""
    wait = 1.0
    while True:
        try:
            tell("Waiting for documents; Ctrl-C ends")
            with connection:
                return until_stopped(make(connection), lambda worker: worker.run(poll))
        except psycopg.OperationalError as error:
            if not connection.broken:
                raise
            tell(f"The connection is lost: {error.diag.message_primary or error}")
        while connection.closed:
            time.sleep(wait)
            wait = min(2 * wait, 60)
            with suppress(psycopg.OperationalError):
                connection = connect()
        wait = 1.0
