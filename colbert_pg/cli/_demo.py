"""The main job on real text: the documentation of Python's standard library, searched."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from time import perf_counter
from typing import Any, NamedTuple

import psycopg
from rich.console import Console
from rich.markup import escape

from colbert_pg.cli import _terminal as terminal
from colbert_pg.cli._lines import Document
from colbert_pg.cli._loading import load_and_index
from colbert_pg.cli._places import Place, prepare
from colbert_pg.cli._table import Table
from colbert_pg.cli.corpus import standard_library_docstrings
from colbert_pg.client import Client, Stage
from colbert_pg.vectors import Matrix

TABLE = "documents"
METHOD = "plaid"
QUESTIONS = {
    "csv": "read a csv file into dictionaries",
    "subprocess": "run a command and capture its output",
    "cache": "cache the results of a function",
    "asyncio": "wait for several coroutines to finish",
}
MORE = "turn a string into a date"
MODULES = """
argparse asyncio base64 bisect builtins calendar collections concurrent configparser contextlib
copy csv dataclasses datetime decimal email enum fnmatch fractions functools getpass glob gzip
hashlib heapq html http inspect io itertools json logging math os pathlib pickle pprint queue
random re sched secrets shelve shlex shutil sqlite3 statistics string struct subprocess sys
tarfile tempfile textwrap threading time timeit typing urllib uuid warnings webbrowser zipfile
zlib
"""
_RUNS = 5  # of each search that is timed


class Measured(NamedTuple):
    """Seconds of a search, the share of the true results that the index found, and what it scored.

    Each is a mean over the questions.
    """

    exact: float
    indexed: float
    recall: float
    scored: float

    @property
    def ratio(self) -> float:
        """How much longer exact search takes."""
        return self.exact / self.indexed


def documents(limit: int) -> list[Document]:
    """The corpus: documentation of the modules that people ask about, under its dotted names."""
    modules = set(MODULES.split())
    found = [d for d in standard_library_docstrings() if d.name.split(".")[0] in modules]
    count = min(limit, len(found))
    chosen = (found[number * len(found) // count] for number in range(count))
    return [Document(name, f"{name}\n{text}") for name, text in chosen]


def search_and_explain(client: Client, console: Console) -> None:
    """Print the best documents for each question, and for the first question the matches."""
    for name, question in QUESTIONS.items():
        hits = client.search(TABLE, question, k=3)
        console.print(f"\n[bold]{escape(question)}[/bold]")
        found = {hit.doc_id: client.explain(TABLE, question, hit.doc_id) for hit in hits}
        console.print(terminal.results(hits, found))
        if name == "csv" and hits:
            console.print(f"\n[dim]Which words matched in {escape(hits[0].doc_id)}:[/dim]")
            console.print(terminal.explanation(found[hits[0].doc_id]))


def measure(client: Client, queries: list[Matrix], k: int = 10) -> Measured:
    """Time exact search and search through the index side by side.

    Of several runs of a question the fastest counts: what else the machine does only adds to one.
    """
    measured = []
    for query in queries:
        exact_times, index_times = [], []
        for _ in range(_RUNS):
            started = perf_counter()
            exact = client.search(TABLE, query, k=k, exact=True)
            middle = perf_counter()
            index = client.search(TABLE, query, k=k)
            exact_times.append(middle - started)
            index_times.append(perf_counter() - middle)
        true = {hit.doc_id for hit in exact}
        found = len(true & {hit.doc_id for hit in index}) / max(1, len(true))
        scored = _scored(client.explain_search(TABLE, query, k=k))
        measured.append(Measured(min(exact_times), min(index_times), found, scored))
    return Measured(*(mean(values) for values in zip(*measured, strict=True)))


def _scored(stages: Sequence[Stage]) -> int:
    """How many documents a search scored, by what its stages say."""
    return max(stage.documents for stage in stages if stage.stage in ("scores", "all"))


def keep_questions(
    connection: psycopg.Connection[Any], queries: list[Matrix], dimensions: int
) -> None:
    """Store the questions with their vectors, to be asked in psql without a model."""
    target = Table(connection, "questions")
    target.create(dimensions, half=False)
    with connection.transaction():
        connection.execute("DELETE FROM questions")
        Client(connection).add(
            "questions",
            list(QUESTIONS.values()),
            keys=list(QUESTIONS),
            embeddings=queries,
        )


PSQL_QUERY = """\
SELECT d.id, s.score
  FROM questions q,
       colbert.search('documents', q.embeddings, key => NULL::text, k => 5) s
  JOIN documents d ON d.id = s.doc_id
 WHERE q.id = 'csv' ORDER BY s.score DESC;"""


def run(at: Place, limit: int, console: Console, progress: Console) -> None:
    """Load what is missing, ask the questions, measure, and say how to go on.

    Args:
        at: the embedded server.
        limit: how many documents.
        console: for the answers.
        progress: for what takes a while.
    """
    from colbert_pg.encoding import Encoder
    from colbert_pg.encoding._quiet import quiet_models

    quiet_models()

    assert at.server is not None
    progress.print(f"PostgreSQL is running in {at.server.directory}", soft_wrap=True)
    with psycopg.connect(at.url, autocommit=True) as connection:
        prepare(connection)
        with progress.status("Loading the model and reading the documentation"):
            encoder = Encoder.default()
            corpus = documents(limit)
        target = Table(connection, TABLE)
        target.create(encoder.dimensions, half=False)
        loaded = load_and_index(target, encoder, corpus, len(corpus), METHOD, progress)
        if loaded.unchanged:
            progress.print(f"{loaded.unchanged} documents were there already")
        queries = encoder.encode_queries(list(QUESTIONS.values()))
        keep_questions(connection, queries, encoder.dimensions)
        client = Client(connection, encoder)
        search_and_explain(client, console)
        measured = measure(client, queries)
        count = target.count()
        (suggested,) = client.search(TABLE, MORE, k=1)
    console.print(
        f"\n{count} documents. Through the {METHOD} index, a search scored {measured.scored:.0f} "
        f"of them and found {measured.recall:.0%} of the true top 10 in "
        f"{measured.indexed * 1000:.0f} ms; exact search took {measured.exact * 1000:.0f} ms, "
        f"{measured.ratio:.1f} times as long."
    )
    console.print("\n[bold]Go on[/bold]")
    for command in (
        at.command("search", MORE),
        at.command("explain", MORE, "--doc", suggested.doc_id),
        at.command("psql"),
    ):
        console.print(command, soft_wrap=True, markup=False)
    console.print("and in psql, where the questions above are stored with their vectors:\n")
    console.print(PSQL_QUERY, soft_wrap=True, markup=False)
