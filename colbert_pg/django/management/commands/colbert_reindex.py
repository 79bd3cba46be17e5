"""``manage.py colbert_reindex``: builds indexes anew."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from django.db import connections

from colbert_pg.django._command import IndexCommand


class Command(IndexCommand):
    help = "Build the indexes of models anew. Searches go on meanwhile; writers wait."

    def handle(self, *args: Any, **options: Any) -> None:
        for index in self.indexes(options["models"], options["database"]):
            started = perf_counter()
            with connections[options["database"]].cursor() as cursor:
                cursor.execute(
                    "SELECT colbert.reindex(%s::regclass, %s)", [index.source, index.embeddings]
                )
            if options["verbosity"]:
                self.stdout.write(
                    f"{index.table}.{index.embeddings}: built anew in "
                    f"{perf_counter() - started:.1f} s"
                )
