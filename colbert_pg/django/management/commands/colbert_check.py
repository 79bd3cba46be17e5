"""``manage.py colbert_check``: every difference between indexes and their arrays."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.db import connections

from colbert_pg.django._command import IndexCommand


class Command(IndexCommand):
    help = (
        "Compare indexes with the arrays of their models, document by document. The exit code is 1 "
        "if there is a difference that --repair has not mended."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--repair", action="store_true", help="Mend what is wrong.")

    def handle(self, *args: Any, **options: Any) -> None:
        wrong = False
        with connections[options["database"]].cursor() as cursor:
            for index in self.indexes(options["models"], options["database"]):
                on = [index.source, index.embeddings]
                cursor.execute(
                    "SELECT problem, doc_id, detail FROM colbert.check_index(%s::regclass, %s)", on
                )
                problems = cursor.fetchall()
                for problem in problems:
                    self.stdout.write(": ".join([index.table, *filter(None, problem)]))
                if problems and options["repair"]:
                    cursor.execute("SELECT colbert.repair_index(%s::regclass, %s)", on)
                    (mended,) = cursor.fetchone()
                    self.stdout.write(f"{index.table}: {mended} documents mended")
                wrong = wrong or bool(problems and not options["repair"])
                if not problems and options["verbosity"]:
                    self.stdout.write(f"{index.table}.{index.embeddings}: right")
        if wrong:
            raise SystemExit(1)
