"""``manage.py colbert_reindex``: builds indexes anew."""

from __future__ import annotations

from argparse import ArgumentParser
from time import perf_counter
from typing import Any

from django.db import connections

from colbert_pg.django._command import IndexCommand, refuse_transaction


class Command(IndexCommand):
    help = "Build the indexes of models anew, while others search and write."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--no-retrain",
            action="store_false",
            dest="retrain",
            help="Keep the centroids that there are, instead of training them anew.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_transaction(connections[options["database"]])
        for index in self.indexes(options["models"], options["database"]):
            started = perf_counter()
            with connections[options["database"]].cursor() as cursor:
                cursor.execute(
                    "CALL colbert.reindex_concurrently(%s::regclass, %s, %s)",
                    [index.source, index.embeddings, options["retrain"]],
                )
            if options["verbosity"]:
                self.stdout.write(
                    f"{index.table}.{index.embeddings}: built anew in "
                    f"{perf_counter() - started:.1f} s"
                )
