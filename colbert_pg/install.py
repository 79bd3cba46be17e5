"""Install colbert_pg in a database without CREATE EXTENSION, by the SQL script of this package."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg

from colbert_pg.catalog import installed_version
from colbert_pg.errors import ColbertError

__all__ = [
    "install",
    "install_async",
    "installed_version",
    "script",
    "uninstall_script",
    "version",
]

_CHECKOUT = Path(__file__).resolve().parent.parent / "sql"


def script() -> str:
    """The text of ``install.sql``: the checkout's own while working in one, else the package's."""
    return _shipped("dist/install.sql")


def uninstall_script() -> str:
    """The text of ``uninstall.sql``, which refuses to run while there are indexes."""
    return _shipped("uninstall.sql")


def _shipped(path: str) -> str:
    file = _CHECKOUT / path
    if file.is_file():
        return file.read_text(encoding="utf-8")
    shipped = files("colbert_pg") / "sql" / file.name
    if shipped.is_file():
        return shipped.read_text(encoding="utf-8")
    raise ColbertError(f"{file.name} is missing: run python sql/build.py in the checkout")


def version() -> str:
    """The version of colbert_pg that the script installs."""
    found = re.search(r"colbert_pg (\d+\.\d+\.\d+)", script())
    assert found is not None
    return found[1]


def install(connection: psycopg.Connection[Any]) -> None:
    """Install colbert_pg, or upgrade it, or do nothing where this version is installed.

    Everything happens in one transaction: in the open one, which stays the caller's to commit; on a
    connection in autocommit mode in one of its own. pgvector must be installed.

    Raises:
        psycopg.Error: with SQLSTATE, detail and hint, for a server or pgvector that is too old, a
            missing pgvector, missing rights, or a database where colbert_pg is an extension.
    """
    text = script().encode()
    with psycopg.Cursor(connection) as cursor:
        if connection.autocommit:
            with connection.transaction():
                cursor.execute(text)
        else:
            cursor.execute(text)


async def install_async(connection: psycopg.AsyncConnection[Any]) -> None:
    """:func:`install` on an asynchronous connection."""
    text = script().encode()
    async with psycopg.AsyncCursor(connection) as cursor:
        if connection.autocommit:
            async with connection.transaction():
                await cursor.execute(text)
        else:
            await cursor.execute(text)
