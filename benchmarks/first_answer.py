"""The time from an empty database to a first answer in text, in four ways.

    python -m benchmarks.first_answer [--repeats 3] [--only psql django] [--output FILE]

The package is installed, and the database has pgvector and nothing else. A run ends with the first
line of an answer: colbert_pg goes into the database, a table is made and indexed, documents are
written, encoded and searched. psql and JavaScript leave encoding to a worker that is started beside
them; Django and SQLAlchemy encode in their own process. What runs is what the documentation shows:
examples/node_postgres.mjs, docs/django-guide.md and the first blocks of docs/sqlalchemy.md.

Then `colbert-pg search` asks a worker that is already waiting. Runs take turns. The median is shown
beside the machine's load, and the processor time of all processes but PostgreSQL's.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from benchmarks.harness import arguments, circumstances, running, table
from colbert_pg.embedded import EmbeddedServer
from colbert_pg.errors import EmbeddedServerError

REPOSITORY = Path(__file__).resolve().parent.parent
PROGRAM = [sys.executable, "-m", "colbert_pg.cli"]
NAME = "benchmark_first_answer"
BAKER = "The baker opens at six."

PSQL = r"""
\set ON_ERROR_STOP on
CREATE TABLE notes (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  content    text,
  embeddings vector(128)[]
);
SELECT colbert.create_index('notes', options => '{"text": "content"}') \g /dev/null
INSERT INTO notes (content) VALUES
  ('Cats sleep most of the day.'), ('The baker opens at six.'), ('Boats come in at noon.');
DO $$
BEGIN
  WHILE EXISTS (SELECT FROM notes WHERE embeddings IS NULL) LOOP
    COMMIT;
    PERFORM pg_sleep(0.05);
  END LOOP;
END
$$;
CALL colbert.encode_query('when can I buy bread?', 'notes', '1 minute') \g /dev/null
SELECT n.content
  FROM colbert.search_text('notes', 'when can I buy bread?', k => 1) s
  JOIN notes n ON n.id = s.doc_id;
"""
DJANGO_DATABASE = """
import os

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PGDATABASE"],
        "HOST": os.environ["PGHOST"],
        "PORT": os.environ["PGPORT"],
        "USER": os.environ["PGUSER"],
        "PASSWORD": os.environ["PGPASSWORD"],
    }
}
SECRET_KEY = "for a benchmark"
USE_TZ = True
ROOT_URLCONF = "urls"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
_CONTEXT = "django.template.context_processors.request django.contrib.auth.context_processors.auth"
_MESSAGES = "django.contrib.messages.context_processors.messages"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"context_processors": [*_CONTEXT.split(), _MESSAGES]},
    }
]
"""


class UnavailableError(Exception):
    """What is not on this machine."""


class Run(NamedTuple):
    """Seconds by the clock, and of processors."""

    clock: float
    processor: float


class Started:
    """A new database, the environment that leads there, and a folder for files."""

    def __init__(self, conninfo: str, folder: Path) -> None:
        parts = {name: str(value) for name, value in conninfo_to_dict(conninfo).items() if value}
        database = parts["dbname"]
        query = urlencode({name: value for name, value in parts.items() if name != "dbname"})
        self.folder = folder
        self.environment = {
            **os.environ,
            "PGHOST": parts.get("host", ""),
            "PGPORT": parts.get("port", "5432"),
            "PGUSER": parts.get("user", ""),
            "PGPASSWORD": parts.get("password", ""),
            "PGDATABASE": database,
            "COLBERT_PG_URL": f"postgresql:///{database}?{query}",
            "DATABASE_URL": f"postgresql+psycopg:///{database}?{query}",
            "PYTHONPATH": f"{folder}{os.pathsep}{REPOSITORY}",
        }

    def run(self, *command: str | os.PathLike[str]) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stdout}{done.stderr}")

    def start(self) -> None:
        self.started, self.processor = time.perf_counter(), _processor()

    def spent(self) -> Run:
        """Until the first line; processor time of all that has ended by now."""
        return Run(self.answered - self.started, _processor() - self.processor)

    def expect(self, wanted: str, *command: str | os.PathLike[str]) -> None:
        """Run a program whose first line is the answer; it then runs to its end in peace."""
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as program:
            assert program.stdout is not None
            assert program.stderr is not None
            line = program.stdout.readline().strip()
            self.answered = time.perf_counter()
            program.stdout.read()
            errors = program.stderr.read()
        if program.returncode or wanted not in line:
            raise RuntimeError(f"{command[0]} answers {line!r}, not {wanted!r}: {errors}")

    @contextmanager
    def worker(self) -> Iterator[None]:
        with (self.folder / "worker.log").open("w", encoding="utf-8") as log:
            worker = subprocess.Popen(
                [*PROGRAM, "worker"],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
            try:
                yield
            finally:
                worker.send_signal(signal.SIGTERM)
                worker.wait()


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each, in turns")
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--output", type=Path, help="a file for the table, without its suffix")
    chosen = parser.parse_args()
    runs: dict[str, list[Run]] = {name: [] for name in chosen.only}
    missing: dict[str, str] = {}
    with running(chosen.url) as server:
        for _ in range(chosen.repeats):
            for name in chosen.only:
                if name not in missing:
                    try:
                        runs[name] += WAYS[name](server.dsn)
                    except UnavailableError as reason:
                        missing[name] = str(reason)
        with psycopg.connect(server.dsn) as connection:
            lines = [circumstances(connection)]
    rows: list[list[str]] = []
    for name in chosen.only:
        if name in missing:
            rows.append([name, missing[name]])
            continue
        clock = [run.clock for run in runs[name]]
        processor = statistics.median(run.processor for run in runs[name])
        seconds = [statistics.median(clock), min(clock), max(clock), processor]
        rows.append([name, *(f"{value:.1f}" for value in seconds), str(len(clock))])
    lines.append("load of the machine at the end: {:.1f}, {:.1f}, {:.1f}".format(*os.getloadavg()))
    lines.append(table(["way", "median s", "least", "most", "processor s", "runs"], rows))
    text = "\n".join(lines)
    print(text)
    if chosen.output is not None:
        chosen.output.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")


@contextmanager
def new_database(dsn: str) -> Iterator[Started]:
    """A database that has pgvector and nothing else, dropped at the end."""
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(NAME))
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        tempfile.TemporaryDirectory(prefix="colbert_pg-first-") as folder,
    ):
        connection.execute(drop)
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(NAME))
        )
        there = make_conninfo(dsn, dbname=NAME)
        try:
            with psycopg.connect(there) as inside:
                inside.execute("CREATE EXTENSION vector")
            yield Started(there, Path(folder))
        finally:
            connection.execute(drop)


def by_psql(dsn: str) -> list[Run]:
    """colbert-pg install, a worker, and a script for psql."""
    program = _psql()
    with new_database(dsn) as here:
        (here.folder / "script.sql").write_text(PSQL, encoding="utf-8")
        here.start()
        here.run(*PROGRAM, "install")
        with here.worker():
            here.expect(BAKER, program, "-X", "-q", "-A", "-t", "-f", "script.sql")
        return [here.spent()]


def by_javascript(dsn: str) -> list[Run]:
    """colbert-pg install, a worker, and examples/node_postgres.mjs."""
    node = shutil.which("node")
    modules = Path(os.environ.get("NODE_PATH", REPOSITORY / "node_modules"))
    if node is None or not (modules / "pg").is_dir():
        raise UnavailableError("no Node, or NODE_PATH names no folder with the package pg")
    with new_database(dsn) as here:
        shutil.copy(REPOSITORY / "examples" / "node_postgres.mjs", here.folder)
        (here.folder / "node_modules").symlink_to(modules)
        del here.environment["DATABASE_URL"]  # it is for SQLAlchemy
        here.start()
        here.run(*PROGRAM, "install")
        with here.worker():
            here.expect("text: the baker sells bread and rolls", node, "node_postgres.mjs")
        return [here.spent()]


def by_django(dsn: str) -> list[Run]:
    """The guide: migrate, which installs colbert_pg, and its last block."""
    settings, models, migration, documents, use = _blocks("django-guide.md")[:5]
    with new_database(dsn) as here:
        files = {
            "settings.py": settings + DJANGO_DATABASE,
            "urls.py": "urlpatterns = []\n",
            "library/models.py": models,
            "library/documents.py": documents,
            "library/migrations/0001_initial.py": migration,
            "library/migrations/__init__.py": "",
            "use.py": "import django\n\ndjango.setup()\n" + use,
        }
        for name, content in files.items():
            (here.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (here.folder / name).write_text(content, encoding="utf-8")
        here.environment["DJANGO_SETTINGS_MODULE"] = "settings"
        here.start()
        here.run(sys.executable, "-m", "django", "migrate")
        here.expect(BAKER, sys.executable, "-u", "use.py")
        return [here.spent()]


def by_sqlalchemy(dsn: str) -> list[Run]:
    """colbert-pg install, and the blocks of the page up to the first search."""
    with new_database(dsn) as here:
        program = "\n".join(_blocks("sqlalchemy.md")[:3])
        (here.folder / "use.py").write_text(program, encoding="utf-8")
        here.start()
        here.run(*PROGRAM, "install")
        here.expect(BAKER, sys.executable, "-u", "use.py")
        return [here.spent()]


def by_search_command(dsn: str) -> list[Run]:
    """colbert-pg search, five times, while a worker waits that has answered before.

    A worker that is too slow leaves the command to load the model itself: such a run is left out.
    """
    with new_database(dsn) as here:
        (here.folder / "script.sql").write_text(PSQL, encoding="utf-8")
        here.run(*PROGRAM, "install")
        runs = []
        with (
            here.worker(),
            psycopg.connect(make_conninfo(dsn, dbname=NAME), autocommit=True) as connection,
        ):
            here.run(_psql(), "-X", "-q", "-f", "script.sql")
            for place in range(5):
                question = f"when can I buy bread {place}?"  # one that is not kept
                here.start()
                here.expect("", *PROGRAM, "search", "--table", "notes", question)
                kept = "SELECT FROM colbert._query WHERE query_text = %s AND vectors IS NOT NULL"
                if connection.execute(kept, [question]).fetchone() is not None:
                    runs.append(here.spent())
        if not runs:
            raise UnavailableError("the worker was too slow each time")
        return runs


WAYS: Mapping[str, Callable[[str], list[Run]]] = {
    "psql": by_psql,
    "javascript": by_javascript,
    "django": by_django,
    "sqlalchemy": by_sqlalchemy,
    "search-command": by_search_command,
}


def _psql() -> Path | str:
    """The psql of the embedded server, or one on the PATH."""
    try:
        return EmbeddedServer().psql
    except EmbeddedServerError:
        found = shutil.which("psql")
        if found is None:
            raise UnavailableError("no psql") from None
        return found


def _blocks(page: str) -> list[str]:
    """The Python that a page of the documentation shows, block by block."""
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def _processor() -> float:
    """Seconds of processors that the programs have taken which were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
