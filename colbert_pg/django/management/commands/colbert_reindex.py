"""``manage.py colbert_reindex``: builds indexes anew."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from django.db import connections

from colbert_pg.django._command import IndexCommand, refuse_transaction


class Command(IndexCommand):
    help = "Build the indexes of models anew, while others search and write."

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_transaction(connections[options["database"]])
        for index in self.indexes(options["models"], options["database"]):
            started = perf_counter()
            with connections[options["database"]].cursor() as cursor:
                cursor.execute(
                    "CALL colbert.reindex_concurrently(%s::regclass, %s)",
                    [index.source, index.embeddings],
                )
            if options["verbosity"]:
                self.stdout.write(
                    f"{index.table}.{index.embeddings}: built anew in "
                    f"{perf_counter() - started:.1f} s"
                )
