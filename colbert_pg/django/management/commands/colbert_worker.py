"""``manage.py colbert_worker``: encodes texts and pictures as they are written."""

from __future__ import annotations

import logging
from argparse import ArgumentParser
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from django.core.management.base import CommandError
from django.db import connections

from colbert_pg._working import until_stopped, working
from colbert_pg.django._command import IndexCommand
from colbert_pg.django.encoding import encoder
from colbert_pg.errors import ColbertError
from colbert_pg.worker import Worker


class Command(IndexCommand):
    help = (
        "Encode texts and pictures as they are written, by the encoder of the settings, in tables "
        "whose index names their column. Any number of workers may run. Ctrl-C and SIGTERM end one "
        "after the batch in hand."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--once", action="store_true", help="Encode what is due and exit.")
        parser.add_argument("--batch", type=int, default=32, help="How many documents at once.")
        parser.add_argument(
            "--poll", type=float, default=30, help="Seconds after which to look without being told."
        )
        parser.add_argument(
            "--lease", type=int, default=300, help="Seconds after which others take what was lost."
        )
        parser.add_argument(
            "--pictures", type=Path, help="The directory that paths of pictures are relative to."
        )
        parser.add_argument("--name", help="In colbert.workers. Default: host and process.")

    def handle(self, *args: Any, **options: Any) -> None:
        database = options["database"]
        sources = self.sources(options["models"], database) or None

        def connect() -> psycopg.Connection[Any]:
            wrapper = connections.create_connection(database)
            wrapper.ensure_connection()
            connection: psycopg.Connection[Any] = wrapper.connection
            connection.autocommit = True
            return connection

        def make(connection: psycopg.Connection[Any]) -> Worker:
            return Worker(
                connection,
                encoder(),
                sources,
                batch=options["batch"],
                lease=timedelta(seconds=options["lease"]),
                name=options["name"],
                pictures=options["pictures"],
            )

        def tell(message: str) -> None:
            if options["verbosity"]:
                self.stderr.write(message, self.style.HTTP_INFO)

        troubled = False
        logger, handler, level = logging.getLogger("colbert_pg"), _Lines(tell), None
        if options["verbosity"] and not logger.hasHandlers():
            level = logger.level
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)
        try:
            if options["once"]:
                with connect() as connection:
                    worker = make(connection)
                    done = until_stopped(worker, Worker.drain)
                troubled = bool(worker.troubled)
            else:
                done = working(connect(), connect, make, options["poll"], tell)
        except (ColbertError, ValueError, psycopg.Error) as error:
            raise CommandError(str(error)) from error
        finally:
            logger.removeHandler(handler)
            if level is not None:
                logger.setLevel(level)
        tell(f"{done.encoded} documents encoded, {done.failed} failed")
        if options["once"] and (done.failed or troubled):
            raise SystemExit(1)


class _Lines(logging.Handler):
    """What a worker logs, where the settings have no handler for it."""

    def __init__(self, tell: Any) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        self.tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self.tell(self.format(record))
