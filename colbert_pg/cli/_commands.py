"""The commands of ``colbert-pg``: their options, and what they print."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import psycopg
import typer

from colbert_pg._working import until_stopped, working
from colbert_pg.catalog import extensions, installed_version, view
from colbert_pg.cli import _terminal as terminal
from colbert_pg.cli._asking import ask_worker
from colbert_pg.cli._encoders import encoder_for
from colbert_pg.cli._ends import fail, print_json, reporting, terminated
from colbert_pg.cli._lines import Lines
from colbert_pg.cli._loading import Loaded, load_and_index, load_and_index_pages
from colbert_pg.cli._pages import holds_pages, picture_of
from colbert_pg.cli._places import (
    Place,
    database,
    names_a_server,
    place,
    prepare,
    run_psql,
    without_password,
)
from colbert_pg.cli._table import PARENT, Table
from colbert_pg.cli._terminal import err, out
from colbert_pg.cli._working import shared_model
from colbert_pg.client import Client, Explanation, Hit, HybridHit, ParentHit
from colbert_pg.errors import ColbertError, DocumentMissing
from colbert_pg.explain import explanation_page
from colbert_pg.install import install as install_script
from colbert_pg.install import version
from colbert_pg.vectors import literal
from colbert_pg.worker import Worker

if TYPE_CHECKING:
    from colbert_pg.encoding import TextEncoder

MOST_SHOWN = 10  # rows of one kind that status prints

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Late interaction search in PostgreSQL.",
    epilog="Without --url or $COLBERT_PG_URL, a PostgreSQL of its own is used: in the directory "
    "--data, else $COLBERT_PG_DATA, else the user's data directory.",
)

UrlOption = Annotated[
    str | None, typer.Option(help="A server: a libpq URL or connection string.", show_default=False)
]
DataOption = Annotated[
    Path | None, typer.Option(help="Directory of the embedded server.", show_default=False)
]
TableOption = Annotated[str, typer.Option(help="The table, as SQL writes it.")]
ModelOption = Annotated[
    str | None,
    typer.Option(
        help="A ColBERT checkpoint: a directory or a name on the hub. "
        "Default: the table's, else all-MiniLM-L6-v2, which needs no download.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"colbert-pg {version()}")
        raise typer.Exit


@app.callback()
def _common(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


class Words(StrEnum):
    """What full text makes of a query."""

    any = "any"
    websearch = "websearch"


class Method(StrEnum):
    """Index methods."""

    exact = "exact"
    hnsw = "hnsw"
    ivfflat = "ivfflat"
    plaid = "plaid"


@app.command()
def demo(
    data: DataOption = None,
    documents: Annotated[
        int, typer.Option(min=10, max=5000, help="How many documentation strings to load.")
    ] = 2000,
) -> None:
    """Search the documentation of Python's standard library, as a first look."""
    from colbert_pg.cli._demo import run as show
    from colbert_pg.embedded import default_directory

    with reporting(), place(None, data or default_directory() / "demo") as at:
        show(at, documents, out, err)


@app.command()
def install(
    url: UrlOption = None,
    data: DataOption = None,
    with_pgvector: Annotated[
        bool, typer.Option("--with-pgvector", help="Run CREATE EXTENSION vector first.")
    ] = False,
) -> None:
    """Install colbert_pg in a database, or upgrade it there."""
    with reporting(), place(url, data) as at:
        with psycopg.connect(at.url) as connection:
            if with_pgvector or at.server is not None:
                prepare(connection)
            else:
                install_script(connection)
            found = installed_version(connection)
        err.print(f"colbert_pg {found} is installed")


def _readable(files: list[Path]) -> list[Path]:
    for file in files:
        _refuse_unreadable(file)
    if len(files) > 1 and not all(map(holds_pages, files)):
        raise typer.BadParameter("one file of JSON lines, or any number of PDF files and pictures")
    return files


def _refuse_unreadable(file: Path) -> None:
    if str(file) != "-" and not os.access(file, os.R_OK):
        raise typer.BadParameter(f"there is no file {str(file)!r} that can be read")
    if file.is_dir():
        raise typer.BadParameter(f"{str(file)!r} is a directory")


@app.command()
def load(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="JSON lines: objects with id (or _id), text, and maybe title; further fields go "
            "into the columns of their names, where the table has them. - is standard input. "
            "Or PDF files and pictures, for a model that takes pictures.",
            callback=_readable,
            show_default=False,
        ),
    ],
    table: TableOption = "documents",
    model: ModelOption = None,
    dimensions: Annotated[
        int | None,
        typer.Option(
            "--dim",
            "--dimensions",
            min=1,
            help="Length of the vectors. Default: 128.",
            show_default=False,
        ),
    ] = None,
    half: Annotated[
        bool | None,
        typer.Option(
            "--half/--no-half", help="Store halfvec, two bytes a number.", show_default=False
        ),
    ] = None,
    pool: Annotated[
        float | None,
        typer.Option(
            min=1, help="Keep about one vector in so many of a document.", show_default=False
        ),
    ] = None,
    first_stage: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="Store pooled vectors beside those of pages, about one in so many, and let them "
            "name the candidates of searches.",
            show_default=False,
        ),
    ] = None,
    chunk: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Cut documents into chunks of so many tokens, a row each; search then finds "
            "documents by their best chunks.",
            show_default=False,
        ),
    ] = None,
    overlap: Annotated[
        int, typer.Option(min=0, help="How many tokens of a chunk the next one repeats.")
    ] = 32,
    offsets: Annotated[
        bool,
        typer.Option(
            "--offsets", help="Store where in the text each vector stands, in a column offsets."
        ),
    ] = False,
    skip_bad: Annotated[
        bool,
        typer.Option(
            "--skip-bad", help="Leave out lines that are no documents, and say which they are."
        ),
    ] = False,
    method: Annotated[
        Method | None,
        typer.Option(
            help="How to index the table once all is in. Default: as it is, else plaid.",
            show_default=False,
        ),
    ] = None,
    url: UrlOption = None,
    data: DataOption = None,
) -> None:
    """Load documents from a file, or pages and pictures: encode, store, index.

    Documents that are there already are left alone, changed texts and fields are replaced.

    After Ctrl-C, the same command goes on where it was. The exit code is 1 if pages were left out.
    """
    if holds_pages(files[0]):
        if chunk is not None or offsets or skip_bad:
            raise typer.BadParameter("--chunk, --offsets and --skip-bad are for texts, not pages")
        _load_pages(files, table, model, dimensions, half, pool, first_stage, method, url, data)
        return
    if first_stage is not None:
        raise typer.BadParameter("--first-stage is for pages, not texts")
    with reporting(), Lines.of(files[0]) as source:
        total = source.check(skip_bad=skip_bad)
        if source.bad:
            err.print(source.complaints(), markup=False, soft_wrap=True)
        with database(url, data, anew=True) as (connection, _):
            target = Table(connection, table)
            there = target.vectors()
            known = target.model()
            if there is not None and dimensions is None and there[0] > 0 and not known:
                dimensions = there[0]
            encoder = encoder_for(known, model, dimensions, pool)
            if not encoder.takes_texts:
                encoder.encode_documents([])  # says what is wrong
            if target.page_vectors() is not None:
                target.refuse_other_model(encoder)  # before the table takes texts, too
            if offsets:
                encoder.document_tokens("")  # refuses where vectors are pooled
            wanted = there[1] if half is None and there is not None else bool(half)
            target.create(encoder.dimensions, wanted, offsets, chunks=chunk is not None)
            cut = None if chunk is None else lambda text: encoder.chunk(text, chunk, overlap)
            loaded = load_and_index(
                target, encoder, source.read(), total, method, err, cut, skip_bad=skip_bad
            )
    rows = "documents" if chunk is None else f"chunks of {total} documents"
    err.print(
        f"{loaded.added} {rows} added, {loaded.changed} changed, {loaded.unchanged} as they were"
    )
    _print_notices(loaded, table, chunked=chunk is not None)


def _load_pages(
    files: Sequence[Path],
    table: str,
    model: str | None,
    dimensions: int | None,
    half: bool | None,
    pool: float | None,
    first_stage: float | None,
    method: Method | None,
    url: str | None,
    data: Path | None,
) -> None:
    with reporting():
        with database(url, data, anew=True) as (connection, _):
            target = Table(connection, table)
            encoder = encoder_for(target.model(), model, dimensions, pool)
            encoder.encode_pictures([])  # refuses a model that takes none
            target.refuse_other_model(encoder)
            there = target.page_vectors()
            wanted = there[1] if half is None and there is not None else bool(half)
            first_stage = first_stage or target.first_stage()
            target.create_pages(encoder.dimensions, wanted, first_stage)
            loaded = load_and_index_pages(target, encoder, files, method, err, first_stage)
        err.print(
            f"{loaded.added} pages added, {loaded.changed} changed, "
            f"{loaded.unchanged} as they were, {loaded.removed} removed"
        )
        for refused in loaded.refused:
            err.print(refused, markup=False, soft_wrap=True)
        if loaded.refused:
            fail(f"{len(loaded.refused)} files or pages were left out")


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for.", show_default=False)],
    k: Annotated[int, typer.Option("-k", min=1, help="How many documents.")] = 10,
    table: TableOption = "documents",
    filter: Annotated[
        str | None, typer.Option(help="A SQL condition on the table.", show_default=False)
    ] = None,
    candidates: Annotated[
        int | None,
        typer.Option(min=1, help="How many documents to score exactly.", show_default=False),
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Score every document.")] = False,
    min_score: Annotated[
        float | None,
        typer.Option(
            min=-1,
            max=1,
            help="The least that a result scores, as a mean over the query's tokens.",
            show_default=False,
        ),
    ] = None,
    parent: Annotated[
        str | None,
        typer.Option(
            help="Find documents by their best chunks: the column of a chunk that names its "
            "document. Default: that of a table loaded with --chunk.",
            show_default=False,
        ),
    ] = None,
    hybrid: Annotated[
        bool, typer.Option("--hybrid", help="Fuse the ranks with those of full-text search.")
    ] = False,
    text_weight: Annotated[
        float,
        typer.Option(min=0, max=1, help="What full text counts for in --hybrid, of 1."),
    ] = 0.5,
    constant: Annotated[
        int, typer.Option(min=0, help="The lower, the more first ranks stand out in --hybrid.")
    ] = 60,
    language: Annotated[
        str | None,
        typer.Option(
            help="Text-search configuration for --hybrid. Default: the server's.",
            show_default=False,
        ),
    ] = None,
    match: Annotated[
        Words, typer.Option(help="Documents with any of the words, or PostgreSQL's websearch.")
    ] = Words.any,
    model: ModelOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data: DataOption = None,
) -> None:
    """Find documents.

    A worker encodes the query where one is running, else this program does: it has to load the
    model first, which takes many seconds. --model has it done here.
    """
    with reporting(), database(url, data) as (connection, at):
        target = _loaded(connection, table, at)
        search_options: dict[str, Any] = {
            "k": k,
            "filter": filter,
            "candidates": candidates,
            "exact": exact,
        }
        if hybrid and parent is not None:
            raise typer.BadParameter("--hybrid finds rows, not parents: leave out --parent")
        if hybrid and min_score is not None:
            raise typer.BadParameter("--hybrid fuses ranks, not scores: leave out --min-score")
        started = perf_counter()
        encoder: TextEncoder | None = ask_worker(target, query) if model is None else None
        if encoder is None:
            encoder = encoder_for(target.model(), model)
            started = perf_counter()
        client = Client(connection, encoder)
        if parent is None and not hybrid and target.has_chunks():
            parent = PARENT
        hits: Sequence[Hit | HybridHit | ParentHit]
        if hybrid:
            hits = client.hybrid_search(
                table,
                query,
                text_weight=text_weight,
                constant=constant,
                language=language,
                match=match.value,
                **search_options,
            )
        elif parent is not None:
            hits = client.search_parents(
                table, query, parent, min_score=min_score, **search_options
            )
        else:
            hits = client.search(table, query, min_score=min_score, **search_options)
        took = perf_counter() - started
        pages = target.pages([hit.doc_id for hit in hits])
        texts = [hit for hit in hits if hit.doc_id not in pages]
        found = _explanations(client, target, query, texts)
    if as_json:
        print_json([_as_json(hit, pages.get(hit.doc_id), found.get(hit.doc_id)) for hit in hits])
    else:
        out.print(terminal.results(hits, found, pages))
        err.print(f"{len(hits)} documents in {took * 1000:.0f} ms, encoding included", style="dim")


@app.command()
def explain(
    query: Annotated[str, typer.Argument(help="What was looked for.", show_default=False)],
    doc: Annotated[str, typer.Option("--doc", help="Id of the document.", show_default=False)],
    html: Annotated[
        Path | None,
        typer.Option(
            help="Write a page for the browser, of one file, instead.",
            dir_okay=False,
            writable=True,
            show_default=False,
        ),
    ] = None,
    table: TableOption = "documents",
    pictures: Annotated[
        Path,
        typer.Option(
            exists=True,
            file_okay=False,
            help="The directory that paths of pictures in the table are relative to.",
        ),
    ] = Path(),
    model: ModelOption = None,
    url: UrlOption = None,
    data: DataOption = None,
) -> None:
    """Show which words of a document, or patches of a page, matched which words of a query."""
    with reporting(), database(url, data) as (connection, at):
        target = _loaded(connection, table, at)
        picture = picture_of(target, doc, pictures)
        if picture is None and not target.contents([doc]):
            raise ColbertError(f"table {table} has no document with the id {doc!r}")
        encoder = encoder_for(target.model(), model)
        client = Client(connection, encoder)
        tokens = None if picture is None else encoder.picture_tokens(picture)
        explained = client.explain(
            table, query, doc, content_column=target.text(), document_tokens=tokens
        )
        if html is None:
            out.print(terminal.explanation(explained))
            return
        (stored,) = client.embeddings(table, [doc])
        if stored is None or not len(stored):
            raise ColbertError(f"document {doc!r} has no vectors to explain")
        (vectors,) = encoder.encode_queries([query])
        page = explanation_page(
            query,
            explained,
            encoder.query_tokens(query),
            encoder.document_tokens(explained.content or "") if tokens is None else tokens,
            vectors @ stored.T,
            picture,
        )
        html.write_text(page, encoding="utf-8")
    err.print(f"wrote {html}", markup=False)


@app.command()
def status(as_json: JsonOption = False, url: UrlOption = None, data: DataOption = None) -> None:
    """Show versions and indexes."""
    with reporting(), place(url, data) as at, psycopg.connect(at.url) as connection:
        ((postgresql, size),) = connection.execute(
            "SELECT current_setting('server_version'), pg_database_size(current_database())"
        ).fetchall()
        known = extensions(connection)
        installed = installed_version(connection)
        indexes = [] if installed is None else Client(connection).indexes()
        texts = [] if installed is None else view(connection, "pending", "source, embeddings")
        workers = [] if installed is None else view(connection, "workers", "seen_at DESC")
        failures = [] if installed is None else view(connection, "failures", "failed_at DESC")
    state = {
        "database": without_password(at.url),
        "directory": None if at.server is None else str(at.server.directory),
        "postgresql": postgresql,
        "pgvector": known.get("vector"),
        "colbert_pg": installed,
        "bytes": size,
    }
    if as_json:
        print_json(
            {
                **state,
                "indexes": indexes,
                "pending": texts,
                "workers": workers,
                "failures": failures,
            }
        )
        return
    out.print(terminal.indexes([state]))
    if installed is None:
        err.print("colbert_pg is not installed here: " + at.command("install"))
    elif not indexes:
        err.print("nothing is indexed yet")
    else:
        out.print()
        out.print(terminal.indexes(indexes))
    for title, rows in (("pending", texts), ("workers", workers), ("failures", failures)):
        if rows:
            out.print(f"\n[bold]{title}[/bold]")
            out.print(terminal.indexes(rows[:MOST_SHOWN]))
        if len(rows) > MOST_SHOWN:
            err.print(f"and {len(rows) - MOST_SHOWN} more: SELECT * FROM colbert.{title}")


@app.command()
def reindex(
    table: Annotated[str, typer.Argument(help="The table.")] = "documents",
    retrain: Annotated[
        bool,
        typer.Option(
            "--retrain/--no-retrain", help="Train centroids anew, or keep those that there are."
        ),
    ] = True,
    url: UrlOption = None,
    data: DataOption = None,
) -> None:
    """Build the index of a table anew, while others search and write."""
    with reporting(), database(url, data) as (connection, _):
        Client(connection).reindex(table, concurrently=True, retrain=retrain)


@app.command()
def maintain(url: UrlOption = None, data: DataOption = None) -> None:
    """Build stale indexes anew and mend broken ones, on your own tables: for cron."""
    with reporting(), database(url, data) as (connection, _):
        connection.add_notice_handler(
            lambda notice: err.print(notice.message_primary or "", style="dim", markup=False)
        )
        Client(connection).maintain()


@app.command()
def worker(
    table: Annotated[
        list[str] | None,
        typer.Option(
            help="A table whose index names a column of texts or pictures; may be repeated. "
            "Default: all with vectors of the model.",
            show_default=False,
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Encode what is due and exit: for cron.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, help="How many documents to take at once.")] = 32,
    poll: Annotated[
        float, typer.Option(min=0.1, help="Seconds after which to look without being told.")
    ] = 30,
    lease: Annotated[
        int,
        typer.Option(min=1, help="Seconds after which others may take what this worker lost."),
    ] = 300,
    pictures: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="The directory that paths of pictures in tables are relative to.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="The name in colbert.workers. Default: host and process.", show_default=False
        ),
    ] = None,
    maintain: Annotated[
        bool,
        typer.Option(help="Do what is due for indexes, too, when there is nothing to encode."),
    ] = True,
    model: ModelOption = None,
    url: UrlOption = None,
    data: DataOption = None,
) -> None:
    """Encode texts and pictures as they are written, where an index names their column.

    Pictures need a model that takes them. Where the column has paths of files, they are read in
    the directory --pictures and never outside of it; without it such tables are left to others.

    Any number of workers may run. Ctrl-C and SIGTERM end one after the batch in hand; what it
    loses when it is killed is done by others once its lease has ended. A lost connection is opened
    again.

    With --once the exit code is 1 if a document failed, or a table as a whole.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logging.getLogger("colbert_pg").addHandler(handler)
    logging.getLogger("colbert_pg").setLevel(logging.INFO)
    with reporting(), database(url, data) as (connection, at):
        known, dimensions = shared_model(connection, table, model, paths=pictures is not None)
        encoder = encoder_for(known, model, dimensions)

        def make(on: psycopg.Connection[Any]) -> Worker:
            lasting = timedelta(seconds=lease)
            return Worker(
                on,
                encoder,
                table,
                batch=batch,
                lease=lasting,
                name=name,
                maintain=maintain,
                pictures=pictures,
            )

        def connect() -> psycopg.Connection[Any]:
            return psycopg.connect(at.url, autocommit=True)

        def tell(message: str) -> None:
            err.print(message, style="dim", markup=False)

        if once:
            single = make(connection)
            done = until_stopped(single, Worker.drain)
            troubled = bool(single.troubled)
        else:
            done, troubled = working(connection, connect, make, poll, tell), False
    err.print(f"{done.encoded} documents encoded, {done.failed} failed")
    if once and (done.failed or troubled):
        raise typer.Exit(1)


@app.command()
def encode_query(
    query: Annotated[str, typer.Argument(help="What to look for.", show_default=False)],
    table: Annotated[
        str | None,
        typer.Option(help="Take the model that this table's index remembers.", show_default=False),
    ] = None,
    model: ModelOption = None,
    url: UrlOption = None,
    data: DataOption = None,
) -> None:
    """Print the vectors of a query as SQL takes them: vector[].

    In psql: \\set q `colbert-pg encode-query "a question"`, then colbert.search('documents', :'q').
    Without --table no database is asked for anything. With it, a worker of that table encodes the
    query where one is running.
    """
    with reporting():
        known, encoder = None, None
        if table is not None:
            with database(url, data) as (connection, at):
                target = _loaded(connection, table, at)
                known = target.model()
                encoder = ask_worker(target, query) if model is None else None
        (vectors,) = (encoder or encoder_for(known, model)).encode_queries([query])
        if not len(vectors):
            raise ColbertError("the query is empty")
        print(literal(vectors))


@app.command(
    context_settings={
        "ignore_unknown_options": True,
        "allow_extra_args": True,
        "help_option_names": ["--help"],  # -h is psql's
    },
    options_metavar="[OPTIONS] [PSQL ARGUMENTS]",
)
def psql(context: typer.Context, url: UrlOption = None, data: DataOption = None) -> None:
    """Open psql on the database; further arguments are psql's.

    They may name another database, role or server, as psql's own do: -d, -h, -p, -U.
    """
    with reporting():
        if url is None and data is None and names_a_server(context.args):
            code = run_psql(None, context.args)
        else:
            with place(url, data) as at:
                code = run_psql(at, context.args)
    raise typer.Exit(code)


def run() -> None:
    """The program ``colbert-pg``."""
    signal.signal(signal.SIGTERM, terminated)  # leave the embedded server as at any other end
    app(prog_name="colbert-pg")


def _explanations(
    client: Client, table: Table, query: str, hits: Sequence[Hit | HybridHit | ParentHit]
) -> dict[str, Explanation]:
    """Why each document was found; one without tokens was found by its text.

    One that was deleted since is left out.
    """
    text = table.text()
    found = {}
    for hit in hits:
        with suppress(DocumentMissing):
            found[hit.doc_id] = client.explain(table.name, query, hit.doc_id, content_column=text)
    return found


def _as_json(
    hit: Hit | HybridHit | ParentHit, page: tuple[str, int] | None, explained: Explanation | None
) -> dict[str, Any]:
    """A page with its file and number, or a text with its content."""
    scores = {name: value for name, value in hit._asdict().items() if name != "doc_id"}
    if page is not None:
        return {"id": hit.doc_id, "file": page[0], "page": page[1], **scores}
    content = None if explained is None else explained.content
    return {"id": hit.doc_id, **scores, "content": content}


def _print_notices(loaded: Loaded, table: str, *, chunked: bool) -> None:
    """What a user would not expect of what was loaded."""
    if loaded.removed:
        err.print(f"{loaded.removed} chunks removed")
    if loaded.truncated:
        remedy = "a smaller --chunk" if chunked else "--chunk and another --table"
        err.print(
            f"{loaded.truncated} were longer than the model reads: only their beginnings are "
            f"searched; {remedy} searches all of them"
        )
    if loaded.left_out:
        names = ", ".join(sorted(loaded.left_out))
        err.print(
            f"fields that no column of {table} takes were left out: {names}; "
            "add columns of these names and load again to store them",
            markup=False,
        )
    if loaded.refused:
        err.print(f"{len(loaded.refused)} documents were left out", markup=False)
        for refused in loaded.refused:
            err.print(refused, markup=False, soft_wrap=True)


def _loaded(connection: psycopg.Connection[Any], table: str, at: Place) -> Table:
    target = Table(connection, table)
    if target.source() is None:
        raise ColbertError(
            f"there is no table {table}: load documents first, {at.command('load', 'FILE.jsonl')}"
        )
    return target
