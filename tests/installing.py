"""The ways of installing colbert_pg into a database that has pgvector."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg

from tests.servers import REPOSITORY, SQL, psql, run, sqlalchemy_url

INSTALL_SQL = SQL / "dist" / "install.sql"


def install_with_psql(conninfo: str, script: Path = INSTALL_SQL) -> None:
    done = psql(conninfo, "-1", "-v", "ON_ERROR_STOP=1", "-f", str(script))
    if done.returncode:
        raise RuntimeError(done.stderr)


def install_as_extension(conninfo: str) -> None:
    with psycopg.connect(conninfo) as connection:
        connection.execute("CREATE EXTENSION colbert_pg")


def install_with_alembic(conninfo: str) -> None:
    alembic(conninfo, "upgrade", "head")


def install_with_python(conninfo: str) -> None:
    import colbert_pg

    with psycopg.connect(conninfo) as connection:
        colbert_pg.Client(connection).install()


def alembic(conninfo: str, *arguments: str) -> None:
    """Run alembic on the repository's own revisions."""
    config = str(REPOSITORY / "alembic.ini")
    url = f"url={sqlalchemy_url(conninfo)}"
    run([sys.executable, "-m", "alembic", "-c", config, "-x", url, *arguments])


WAYS: dict[str, Callable[[str], None]] = {
    "psql": install_with_psql,
    "extension": install_as_extension,
    "alembic": install_with_alembic,
    "python": install_with_python,
}


def chosen_way() -> Callable[[str], None]:
    """The way that COLBERT_PG_INSTALL names; psql by default."""
    return WAYS[os.environ.get("COLBERT_PG_INSTALL", "psql")]
