"""The settings of the Django project that the tests run; importing this sets Django up."""

from __future__ import annotations

import django
from django.conf import settings
from django.db import connections
from psycopg.conninfo import conninfo_to_dict

settings.configure(
    INSTALLED_APPS=["colbert_pg.django", "tests.frameworks.library"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "nowhere"}},
    COLBERT_PG_ENCODER="tests.client.words.WordEncoder",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()


def connect(conninfo: str) -> None:
    """Let the project work on a database from now on."""
    parts = conninfo_to_dict(conninfo)
    connections["default"].close()
    connections["default"].settings_dict.update(
        NAME=parts["dbname"],
        HOST=parts.get("host", ""),
        PORT=parts.get("port", ""),
        USER=parts.get("user", ""),
        PASSWORD=parts.get("password") or "",
    )
