"""Who takes part in the side-by-side measurement of methods.py, and at which settings.

Every contender indexes the same documents and answers the same queries, named by their positions.
Those in PostgreSQL have a table and a connection each; peers run in processes of their own, under
a Python of their own where they need one (benchmarks/peers).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import psycopg

from benchmarks.harness import CACHE, Connection, setting
from benchmarks.peers.worker import save
from benchmarks.scifact import DIMENSIONS, Collection
from colbert_pg.client import Client
from colbert_pg.embedded import EmbeddedServer
from colbert_pg.errors import EmbeddedServerError
from colbert_pg.options import Method, Options
from colbert_pg.vectors import VECTOR_TYPES, TokenArray, VectorTypes, register

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = "benchmark_documents"
QUERIES = "benchmark_queries"
BATCH = 500  # documents a COPY


class MissingError(Exception):
    """A contender cannot take part; the message says why, and ends up in the table."""


class Setting(NamedTuple):
    """A way to search: knobs by name, and whether it stands for its method.

    Only settings that stand for their method are measured with the default number of threads, too.
    """

    knobs: Mapping[str, Any]
    typical: bool = False

    def __str__(self) -> str:
        knobs = [f"{name.removeprefix('colbert.')} {value}" for name, value in self.knobs.items()]
        return ", ".join(knobs) or "default"


class Built(NamedTuple):
    """What building took, and what it left beside the vectors."""

    seconds: float
    bytes: int
    versions: str = ""


class Answers(NamedTuple):
    """The ten best documents of each query, seconds a query, and how many cores were busy."""

    found: list[list[int]]
    seconds: list[float]
    cores: float = 1.0


class Contender(Protocol):
    """Builds once, then searches at its settings."""

    name: str
    settings: Sequence[Setting]
    tokens_a_second: float  # while building, roughly: for estimates

    def build(self) -> Built:
        """Index all documents.

        Raises:
            MissingError: if that cannot be.
        """

    def search(self, chosen: Setting, one_thread: bool, queries: Sequence[int]) -> Answers:
        """The answers to some of the queries, one after the other."""

    def throughput(self, chosen: Setting, clients: int, seconds: float) -> float | None:
        """Searches a second, of so many clients at a time; None where that cannot be measured."""

    def close(self) -> None:
        """Let go of everything."""


# PostgreSQL


def fill(connection: Connection, collection: Collection, element: str) -> None:
    """The documents, which every method's table copies, and the queries, which pgbench reads."""
    connection.execute(f"DROP TABLE IF EXISTS {DOCUMENTS}, {QUERIES} CASCADE")
    connection.execute(
        f"CREATE TABLE {DOCUMENTS} (id integer PRIMARY KEY, embeddings {element}({DIMENSIONS})[])"
    )
    connection.execute(f"ALTER TABLE {DOCUMENTS} ALTER embeddings SET STORAGE EXTERNAL")
    connection.execute(f"CREATE TABLE {QUERIES} (id integer PRIMARY KEY, embeddings vector[])")
    client = Client(connection)
    for first in range(0, len(collection.documents), BATCH):
        batch = collection.documents[first : first + BATCH]
        client.add(DOCUMENTS, keys=range(first, first + len(batch)), embeddings=batch)
    client.add(QUERIES, keys=range(len(collection.queries)), embeddings=collection.queries)


class InPostgres:
    """What all contenders in PostgreSQL share: a table, a connection, a statement."""

    table: str
    statement: str  # with a %s for the query

    def __init__(self, dsn: str, collection: Collection) -> None:
        self.collection = collection
        self.connection = psycopg.connect(dsn, autocommit=True)
        types = self.connection.execute(VECTOR_TYPES).fetchone()
        assert types is not None
        register(self.connection, VectorTypes(*types))

    def copy_documents(self, element: str | None = None) -> None:
        """A table of the documents for this contender alone, warm and vacuumed."""
        run = self.connection.execute
        run(f"DROP TABLE IF EXISTS {self.table} CASCADE")
        run(f"CREATE TABLE {self.table} (LIKE {DOCUMENTS} INCLUDING ALL)")
        if element is not None:
            run(f"ALTER TABLE {self.table} ALTER embeddings TYPE {element}({DIMENSIONS})[]")
        run(f"INSERT INTO {self.table} TABLE {DOCUMENTS}")
        run(f"VACUUM ANALYZE {self.table}")

    def search(self, chosen: Setting, one_thread: bool, queries: Sequence[int]) -> Answers:
        return self._answers(self.statement, self._parameters(chosen, one_thread), queries)

    def _answers(
        self, statement: str, parameters: Mapping[str, Any], queries: Sequence[int]
    ) -> Answers:
        self.connection.execute("RESET ALL")
        for name, value in parameters.items():
            setting(self.connection, name, value)
        found, seconds = [], []
        for number in queries:
            query = TokenArray(self.collection.queries[number])
            started = time.perf_counter()
            rows = self.connection.execute(
                statement.encode(), (query,), prepare=True, binary=True
            ).fetchall()
            seconds.append(time.perf_counter() - started)
            found.append([document for (document,) in rows])
        return Answers(found, seconds)

    def throughput(self, chosen: Setting, clients: int, seconds: float) -> float | None:
        """By pgbench, each client in one process of the server, queries read from their table."""
        pgbench = _pgbench()
        if pgbench is None:
            return None
        query = f"(SELECT embeddings FROM {QUERIES} WHERE id = :id)"
        script = (
            f"\\set id random(0, {len(self.collection.queries) - 1})\n"
            f"{self.statement.replace('%s', query)};\n"
        )
        parameters = self._parameters(chosen, one_thread=True)
        environment = os.environ | {
            "PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in parameters.items()),
            "PGPASSWORD": self.connection.info.password,
        }
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
            file.write(script)
            file.flush()
            command = [pgbench, "--no-vacuum", "--protocol=prepared", f"--file={file.name}"]
            command += [f"--client={clients}", f"--jobs={min(clients, os.cpu_count() or 1)}"]
            command += [f"--time={max(1, round(seconds))}", self.connection.info.dsn]
            finished = subprocess.run(command, env=environment, capture_output=True, text=True)
        if finished.returncode != 0:
            raise ProcessError(finished.stderr.strip())
        (rate,) = (line for line in finished.stdout.splitlines() if line.startswith("tps = "))
        return float(rate.split()[2])

    def _parameters(self, chosen: Setting, one_thread: bool) -> dict[str, Any]:
        one = {"max_parallel_workers_per_gather": 0} if one_thread else {}
        return {**one, **chosen.knobs}

    def close(self) -> None:
        self.connection.close()


def _pgbench() -> str | None:
    """The pgbench of the embedded server, or one on the PATH."""
    try:
        beside = EmbeddedServer().psql.with_name("pgbench")
    except EmbeddedServerError:
        return shutil.which("pgbench")
    return str(beside) if beside.exists() else shutil.which("pgbench")


class Example(InPostgres):
    """pgvector-python's example: no index, a function that joins all token pairs, then a sort."""

    name = "example max_sim"
    table = "benchmark_example"
    settings: Sequence[Setting] = (Setting({}, typical=True),)
    tokens_a_second = 100_000.0
    statement = (
        f"SELECT id FROM {table} ORDER BY benchmark_max_sim(embeddings, %s::vector[]) DESC LIMIT 10"
    )

    def build(self) -> Built:
        self.copy_documents("vector")
        self.connection.execute("DROP FUNCTION IF EXISTS benchmark_max_sim(vector[], vector[])")
        self.connection.execute(MAX_SIM)
        return Built(0.0, 0)


# As the examples of pgvector-python define it (examples/colbert/exact.py, the MIT-licensed
# rewrite here keeps its plan: two unnests, a cross join, a group by).
MAX_SIM = """
CREATE FUNCTION benchmark_max_sim(document vector[], query vector[]) RETURNS float8
LANGUAGE sql AS $$
  WITH queries AS (
    SELECT row_number() OVER () AS query_number, q.query FROM (SELECT unnest(query) AS query) AS q
  ), documents AS (
    SELECT unnest(document) AS document
  ), similarities AS (
    SELECT query_number, 1 - (document <=> query) AS similarity FROM queries CROSS JOIN documents
  ), best AS (
    SELECT max(similarity) AS similarity FROM similarities GROUP BY query_number
  )
  SELECT sum(similarity) FROM best
$$
"""


class Indexed(InPostgres):
    """An index of colbert_pg: a method, its options, and settings to search with."""

    def __init__(
        self,
        dsn: str,
        collection: Collection,
        method: str,
        settings: Sequence[Setting],
        tokens_a_second: float,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(dsn, collection)
        self.name = self.method = method
        self.settings = settings
        self.tokens_a_second = tokens_a_second
        self.options = options
        self.table = f"benchmark_{method}"
        self.statement = f"SELECT doc_id FROM colbert.search('{self.table}', %s::vector[], k => 10)"

    def build(self) -> Built:
        self.drop_index()
        self.copy_documents()
        return self.create_index()

    def exact(self, queries: Sequence[int]) -> Answers:
        """The answers of exact search in one process."""
        statement = self.statement.replace("k => 10", "k => 10, exact => true")
        return self._answers(statement, self._parameters(Setting({}), True), queries)

    def drop_index(self) -> None:
        client = Client(self.connection)
        if any(index["source"] == self.table for index in client.indexes()):
            client.drop_index(self.table)

    def create_index(self) -> Built:
        client = Client(self.connection)
        self.connection.execute("RESET ALL")  # what a search was limited to
        started = time.perf_counter()
        try:
            client.create_index(
                self.table, method=cast(Method, self.method), options=cast(Options, self.options)
            )
        except psycopg.errors.InvalidParameterValue as error:
            raise MissingError(str(error.diag.message_primary)) from error
        seconds = time.perf_counter() - started
        (index,) = (index for index in client.indexes() if index["source"] == self.table)
        return Built(seconds, index["index_bytes"])


# Peers

#: Says how many threads a library may start, for each library that takes part.
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "TOKIO_WORKER_THREADS",
    "LANCE_CPU_THREADS",
    "LANCE_IO_THREADS",
)


class Peer:
    """Another engine, in two processes: one of a single thread, one with its default threads.

    Concurrent clients are threads in one of them.

    Args:
        name: as in the table.
        module: of benchmarks.peers.
        requirements: what its Python needs from PyPI; none, to run under this one.
        settings: arguments of the engine's ``search``.
        options: arguments of the engine's ``build``.
        vectors: the directory that :func:`share` wrote.
    """

    def __init__(
        self,
        name: str,
        module: str,
        requirements: Sequence[str],
        settings: Sequence[Setting],
        tokens_a_second: float,
        vectors: Path,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.module = module
        self.requirements = requirements
        self.settings = settings
        self.tokens_a_second = tokens_a_second
        self.vectors = vectors
        self.options = dict(options or {})
        self.directory = vectors / "".join(filter(str.isalnum, name))
        self.processes: dict[bool, Process] = {}

    def build(self) -> Built:
        python = environment(self.module, self.requirements)
        for one_thread in (False, True):
            log = self.directory.with_suffix(".one.log" if one_thread else ".log")
            self.processes[one_thread] = Process(python, self.module, self.vectors, one_thread, log)
        try:
            built = self.processes[False].ask(
                "build", directory=str(self.directory), options=self.options
            )
            for process in self.processes.values():
                opened = process.ask("open", directory=str(self.directory))
        except ProcessError as error:
            raise MissingError(str(error)) from error
        return Built(built["seconds"], built["bytes"], opened["versions"])

    def search(self, chosen: Setting, one_thread: bool, queries: Sequence[int]) -> Answers:
        process = self.processes[one_thread]
        answer = process.ask("search", queries=list(queries), setting=dict(chosen.knobs))
        cores = answer["cpu"] / sum(answer["seconds"])
        return Answers(answer["found"], answer["seconds"], cores)

    def throughput(self, chosen: Setting, clients: int, seconds: float) -> float | None:
        """The better of both processes: some engines' limits hold for all clients together."""
        rates = [
            process.ask("throughput", clients=clients, seconds=seconds, setting=dict(chosen.knobs))
            for process in self.processes.values()
        ]
        return max(float(answer["rate"]) for answer in rates)

    def close(self) -> None:
        for process in self.processes.values():
            process.close()


def share(collection: Collection, directory: Path) -> None:
    """Write the vectors where the processes of peers map them into memory."""
    save(directory / "documents", collection.documents)
    save(directory / "queries", collection.queries)


def environment(name: str, requirements: Sequence[str]) -> Path:
    """A Python with these packages, installed on first use and kept in the cache directory."""
    if not requirements:
        return Path(sys.executable)
    folder = CACHE / "peers" / "-".join([name, *requirements]).replace("==", "-")
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        print(f"  installing {' '.join(requirements)} into {folder}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder)
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
        finished = subprocess.run([*pip, *requirements], capture_output=True, text=True)
        if finished.returncode != 0:
            said = [line for line in finished.stderr.splitlines() if line.startswith("ERROR")]
            raise MissingError(f"cannot be installed: {(said or ['pip failed'])[-1]}")
        ready.touch()
    return python


class ProcessError(Exception):
    """A process that measures ended before it had answered."""


class Process:
    """A running benchmarks.peers module, which answers one request at a time."""

    def __init__(
        self, python: Path, module: str, vectors: Path, one_thread: bool, log: Path
    ) -> None:
        variables = {name: value for name, value in os.environ.items() if name not in THREADS}
        if one_thread:
            variables |= dict.fromkeys(THREADS, "1")
        self.log = log
        with log.open("w") as file:
            self.running = subprocess.Popen(
                [python, "-m", f"benchmarks.peers.{module}", vectors],
                cwd=ROOT,
                env=variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )

    def ask(self, request: str, **arguments: Any) -> dict[str, Any]:
        assert self.running.stdin is not None
        assert self.running.stdout is not None
        try:
            print(json.dumps({"do": request, **arguments}), file=self.running.stdin, flush=True)
            line = self.running.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            status = self.running.wait()
            last = (self.log.read_text(errors="replace").strip().splitlines() or ["no message"])[-1]
            raise ProcessError(f"ended with status {status}: {last}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        self.running.terminate()
        self.running.wait()
