"""``manage.py colbert_maintain``: does what is due for the indexes, for cron."""

from __future__ import annotations

from typing import Any

from django.db import connections

from colbert_pg.django._command import IndexCommand, refuse_transaction


class Command(IndexCommand):
    help = "Build stale indexes anew and mend broken ones, with a commit after each: for cron."
    takes_models = False

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        refuse_transaction(connection)
        connection.ensure_connection()
        warnings: list[str] = []

        def keep(diagnostic: Any) -> None:
            if diagnostic.severity_nonlocalized == "WARNING":
                warnings.append(diagnostic.message_primary)

        connection.connection.add_notice_handler(keep)
        try:
            with connection.cursor() as cursor:
                cursor.execute("CALL colbert.maintain()")
        finally:
            connection.connection.remove_notice_handler(keep)
        for warning in warnings:
            self.stderr.write(warning)
        if warnings:
            raise SystemExit(1)
