"""Runs the revisions, on a database or (--sql) as a script. The URL: -x url=… or COLBERT_PG_URL."""

import os
from logging.config import fileConfig

from alembic import context
from alembic.util import CommandError
from sqlalchemy import URL, create_engine, make_url
from sqlalchemy.pool import NullPool

# A table of its own, so that these revisions and an application's share a database.
VERSION_TABLE = "colbert_pg_alembic_version"


def database_url() -> URL:
    """The database's URL, always through psycopg 3."""
    given = context.get_x_argument(as_dictionary=True).get("url") or os.environ.get(
        "COLBERT_PG_URL"
    )
    if not given:
        raise CommandError("which database? give -x url=postgresql://… or set COLBERT_PG_URL")
    url = make_url(given)
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    return url


def run_offline() -> None:
    context.configure(dialect_name="postgresql", version_table=VERSION_TABLE)
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    with create_engine(database_url(), poolclass=NullPool).connect() as connection:
        context.configure(connection=connection, version_table=VERSION_TABLE)
        with context.begin_transaction():
            context.run_migrations()


if context.config.config_file_name:
    fileConfig(context.config.config_file_name, disable_existing_loggers=False)
if context.is_offline_mode():
    run_offline()
else:
    run_online()
