"""The databases of the command line: a running server's, or the embedded server's own."""

from __future__ import annotations

import getopt
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from colbert_pg.catalog import installed_version
from colbert_pg.errors import ColbertError, NotInstalled
from colbert_pg.install import install, version

if TYPE_CHECKING:
    from colbert_pg.embedded import EmbeddedServer


# psql's options, as getopt writes them: a colon or an equals sign after those that take a value.
_SHORT = "aAbc:d:eEf:F:h:HlL:no:p:P:qR:sStT:U:v:VwWxXz01?"
_LONG = (
    *("command=", "dbname=", "field-separator=", "file=", "host=", "log-file=", "output="),
    *("port=", "pset=", "record-separator=", "set=", "table-attr=", "username=", "variable="),
    *("csv", "echo-all", "echo-errors", "echo-hidden", "echo-queries", "expanded"),
    *("field-separator-zero", "help", "html", "list", "no-align", "no-password", "no-psqlrc"),
    *("no-readline", "password", "quiet", "record-separator-zero", "single-line"),
    *("single-step", "single-transaction", "tuples-only", "version"),
)


class Place(NamedTuple):
    """A database, and how to say it on a command line."""

    url: str
    server: EmbeddedServer | None  # None: somebody else's server
    arguments: tuple[str, ...]

    def command(self, *arguments: str) -> str:
        """A command line of this program on the same database, to be pasted into a shell."""
        return shlex.join([*_program(), arguments[0], *self.arguments, *arguments[1:]])


class TwoDatabases(ColbertError):  # noqa: N818
    """A URL and a directory were given."""


@contextmanager
def place(url: str | None, data: Path | None) -> Iterator[Place]:
    """The database that the options name: a running server's, or the embedded one's."""
    if url is not None and data is not None:
        raise TwoDatabases("--url and --data name two databases: choose one")
    arguments: tuple[str, ...] = ()
    if url is not None:
        arguments = ("--url", without_password(libpq_url(url)))
    elif data is None:
        url = os.environ.get("COLBERT_PG_URL") or None
    if url is not None:
        yield Place(libpq_url(url), None, arguments)
        return
    from colbert_pg.embedded import EmbeddedServer

    with EmbeddedServer(data) as server:
        arguments = () if data is None else ("--data", str(data))
        yield Place(server.url, server, arguments)


@contextmanager
def database(
    url: str | None, data: Path | None, *, anew: bool = False
) -> Iterator[tuple[psycopg.Connection[Any], Place]]:
    """A connection in autocommit mode.

    The embedded server is ours: there, install what is missing, or ``anew`` whatever there is.
    """
    with place(url, data) as found, psycopg.connect(found.url, autocommit=True) as connection:
        installed = installed_version(connection)
        if found.server is not None:
            if anew or installed != version():
                prepare(connection)
        elif installed is None:
            command = found.command("install")
            raise NotInstalled(f"colbert_pg is not installed in this database: run {command}")
        yield connection, found


def prepare(connection: psycopg.Connection[Any]) -> None:
    """Create the extension vector where it is missing, and install this version of colbert_pg."""
    with connection.transaction():
        connection.execute("SET LOCAL client_min_messages = warning")
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        install(connection)


def libpq_url(url: str) -> str:
    """A URL without the name of a driver, which SQLAlchemy writes into it."""
    return re.sub(r"^(postgres(?:ql)?)\+\w+(?=://)", r"\1", url)


def without_password(url: str) -> str:
    parts = conninfo_to_dict(url)
    parts.pop("password", None)
    return make_conninfo("", **parts)


def names_a_server(arguments: Sequence[str]) -> bool:
    """Whether psql's arguments say by themselves which server to connect to."""
    try:
        options, positional = getopt.gnu_getopt(list(arguments), _SHORT, _LONG)
    except getopt.GetoptError:  # psql will say what is wrong
        return False
    given = dict(options)
    if "-h" in given or "--host" in given:
        return True
    database = given.get("-d") or given.get("--dbname") or next(iter(positional), "")
    if "=" not in database and "://" not in database:
        return False
    try:
        return not {"host", "hostaddr", "service"}.isdisjoint(conninfo_to_dict(database))
    except psycopg.ProgrammingError:
        return False


def run_psql(at: Place | None, arguments: Sequence[str]) -> int:
    """Run psql as a child, since the embedded server must be left afterwards; returns its code.

    The connection comes in the environment, so that psql's own options go before it, and a password
    does not show in the list of processes. Ctrl-C is psql's to handle.
    """
    if at is not None and at.server is not None:
        program = str(at.server.psql)
    else:
        program = shutil.which("psql") or _shipped_psql()
    environment, unnamed = ({}, {}) if at is None else _environment(at.url)
    database = ["--dbname", make_conninfo("", **unnamed)] if unnamed else []
    command = [program, *database, *arguments]
    with subprocess.Popen(command, env={**os.environ, **environment}) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue
            except BaseException:
                process.terminate()
                raise


def _environment(url: str) -> tuple[dict[str, str], dict[str, Any]]:
    """The environment variables of a connection, and the settings for which there are none."""
    variables = {
        option.keyword.decode(): option.envvar.decode()
        for option in pq.Conninfo.get_defaults()
        if option.envvar is not None
    }
    settings = conninfo_to_dict(url)
    named = {variables[name]: str(settings[name]) for name in settings if name in variables}
    return named, {name: settings[name] for name in settings if name not in variables}


def _shipped_psql() -> str:
    from colbert_pg.embedded import EmbeddedServer

    return str(EmbeddedServer(version=18).psql)


def _program() -> list[str]:
    """How this program is called from the directory we are in."""
    called, found = Path(sys.argv[0]).absolute(), shutil.which("colbert-pg")
    if called.suffix == ".py":
        return [sys.executable, "-m", "colbert_pg.cli"]
    if found is not None and called.exists() and called.samefile(found):
        return ["colbert-pg"]
    return [str(called.relative_to(Path.cwd()) if called.is_relative_to(Path.cwd()) else called)]
