"""What is in a database and on a server, to see whether tests have left something there."""

from __future__ import annotations

import psycopg

from tests.install.snapshot import snapshot

_CATALOGS = ("class", "extension", "largeobject_metadata", "namespace", "operator", "proc", "type")


def contents(conninfo: str) -> set[tuple[str, str, str]]:
    """(kind, name, definition) of all in schema colbert, rows included, and other objects' OIDs."""
    found = {(kind, name, text) for (kind, name), text in snapshot(conninfo).items()}
    with psycopg.connect(conninfo) as connection:
        for catalog in _CATALOGS:
            query = f"SELECT oid::text FROM pg_catalog.pg_{catalog}".encode()
            found |= {(catalog, oid, "") for (oid,) in connection.execute(query)}
    return found


def objects_of_all(conninfo: str) -> set[tuple[str, str]]:
    """The databases, roles and their settings of a server."""
    with psycopg.connect(conninfo) as connection:
        return set(
            connection.execute(
                "SELECT 'database', datname::text FROM pg_database"
                " UNION ALL SELECT 'role', rolname::text FROM pg_roles"
                " UNION ALL SELECT 'setting', s::text FROM pg_db_role_setting s"
            )
        )
