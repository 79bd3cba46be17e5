"""A Django project in a directory, whose commands run as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MORE_SETTINGS = """
import os
from psycopg.conninfo import conninfo_to_dict

parts = conninfo_to_dict(os.environ["CONNINFO"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts["dbname"],
        "HOST": parts.get("host", ""),
        "PORT": parts.get("port", ""),
        "USER": parts.get("user", ""),
        "PASSWORD": parts.get("password") or "",
    }
}
USE_TZ = True
SECRET_KEY = "for tests"
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "urls"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
"""
URLS = """
from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
"""
SET_UP = "import django\n\ndjango.setup()\n"


class Project:
    """The application ``library`` and its settings.

    Args:
        directory: an empty one.
        conninfo: of a database that has nothing.
        settings, models: the files.
        migration: the first one, if there is one.
    """

    def __init__(
        self, directory: Path, conninfo: str, settings: str, models: str, migration: str | None
    ) -> None:
        self.directory = directory
        self.conninfo = conninfo
        self.write("settings.py", settings + MORE_SETTINGS)
        self.write("urls.py", URLS)
        self.write("library/models.py", models)
        self.write("library/migrations/__init__.py", "")
        if migration is not None:
            self.write("library/migrations/0001_initial.py", migration)

    def write(self, name: str, content: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")

    def manage(self, *arguments: str, quiet: bool = True) -> str:
        """What a command of ``manage.py`` prints."""
        return self.python("-m", "django", *arguments, quiet=quiet)

    def python(self, *arguments: str, quiet: bool = True) -> str:
        """What a process prints; ``quiet`` that it writes no errors and warnings."""
        done = subprocess.run(
            [sys.executable, "-B", *arguments],
            cwd=self.directory,
            env={
                **os.environ,
                "PYTHONPATH": str(self.directory),
                "DJANGO_SETTINGS_MODULE": "settings",
                "CONNINFO": self.conninfo,
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert not quiet or done.stderr == "", done.stderr
        return done.stdout
