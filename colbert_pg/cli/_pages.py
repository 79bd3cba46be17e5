"""Pages of PDF files and pictures into a table of vectors: a row each, some to a transaction.

A second run goes on where the first one ended: a page that is there, of a file with the same
bytes, is left alone. A page that cannot be had is named, and the others go on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg import sql

from colbert_pg._cursors import rows as rows_of
from colbert_pg._extras import pip_install
from colbert_pg.cli._table import FIRST_STAGE, Table
from colbert_pg.client import Client
from colbert_pg.encoding import open_picture, picture_below, pool
from colbert_pg.errors import BadPicture, ColbertError
from colbert_pg.vectors import HalfTokenArray, Matrix, TokenArray

if TYPE_CHECKING:
    from PIL.Image import Image

    from colbert_pg.encoding import Encoder

BATCH = 8  # pages a transaction, and encoded at once: models take a thousand tokens for each
PDF = ".pdf"
PICTURES = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))
_DOTS = 150  # an inch, as a page is rendered
_LONGEST = 2048  # pixels of a rendered page's longer side; models scale down to less


def holds_pages(path: Path) -> bool:
    """Whether a file is a PDF or a picture, by its name."""
    return path.suffix.lower() in PICTURES | {PDF}


@dataclass(frozen=True)
class Page:
    """A page of a PDF file, or a picture, which is a file's only page.

    ``picture`` renders it, and raises :class:`BadPicture` where that fails.
    """

    file: str
    number: int
    digest: str
    picture: Callable[[], Image]
    key: str


@dataclass
class LoadedPages:
    """What became of pages; ``refused`` says which could not be had, and why."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    refused: list[str] = field(default_factory=list)


class PageFile:
    """A PDF file or a picture.

    Raises:
        BadPicture: the file is broken or wants a password.
        OSError: the file cannot be read.
        ImportError: pypdfium2 is missing.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.as_posix()
        self._path = path
        with path.open("rb") as file:
            self._digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._pdf = _open_pdf(path) if path.suffix.lower() == PDF else None

    def __len__(self) -> int:
        return 1 if self._pdf is None else len(self._pdf)

    def pages(self) -> Iterator[Page]:
        if self._pdf is None:
            yield Page(self.name, 1, self._digest, lambda: open_picture(self._path), self.name)
            return
        for number in range(1, len(self) + 1):
            yield Page(
                self.name, number, self._digest, self._renderer(number), f"{self.name}#{number}"
            )

    def close(self) -> None:
        if self._pdf is not None:
            self._pdf.close()

    def _renderer(self, number: int) -> Callable[[], Image]:
        return lambda: _rendered(self._pdf, number)


def _open_pdf(path: Path) -> Any:
    try:
        from pypdfium2 import PdfDocument, PdfiumError
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"PDF files need pypdfium2: {pip_install('pages')}") from error
    try:
        return PdfDocument(path)
    except PdfiumError as error:
        if "password" in str(error).lower():
            raise BadPicture("wants a password: save it without one") from error
        raise BadPicture(f"not a PDF that can be read: {error}") from error


def _rendered(pdf: Any, number: int) -> Image:
    from pypdfium2 import PdfiumError

    try:
        with closing(pdf[number - 1]) as page:
            scale = min(_DOTS / 72, _LONGEST / max(page.get_size()))
            picture: Image = open_picture(page.render(scale=scale).to_pil())
    except (PdfiumError, ValueError, ZeroDivisionError) as error:
        raise BadPicture(f"cannot be rendered: {error}") from error
    darkest, brightest = picture.convert("L").getextrema()
    if darkest == brightest:
        raise BadPicture("the page is empty")
    return picture


class PageLoader:
    """Brings pages into a table, encoding those that are new or changed.

    Args:
        target: the table, which is there.
        encoder: of a model that takes pictures.
        first_stage: by what the vectors of the first stage are pooled; None: there is none.

    Raises:
        ModelMismatch: if the index holds vectors of another model.
    """

    def __init__(self, target: Table, encoder: Encoder, first_stage: float | None = None) -> None:
        target.refuse_other_model(encoder)
        self._target = target
        self._connection = target.connection
        self._client = Client(target.connection)
        self._encoder = encoder
        self._first_stage = first_stage
        self._kind = HalfTokenArray if (target.page_vectors() or (0, False))[1] else TokenArray
        self.loaded = LoadedPages()

    def load(self, file: PageFile, *, advance: Callable[[int], None] = lambda _: None) -> None:
        """Load the pages of a file, and remove what it does not have any more."""
        there: dict[int, str] = dict(
            rows_of(
                self._connection,
                self._sql("SELECT d.page, d.digest FROM {} d WHERE d.file = %s"),
                [file.name],
            )
        )
        pages = file.pages()
        while some := list(islice(pages, BATCH)):
            wanted = [page for page in some if there.get(page.number) != page.digest]
            self.loaded.unchanged += len(some) - len(wanted)
            readable = list(self._readable(wanted))
            self._store(
                [
                    (page, picture, vectors)
                    for (page, picture), vectors in zip(
                        readable, self._encoded(readable), strict=True
                    )
                    if vectors is not None
                ],
                there,
            )
            advance(len(some))
        gone = rows_of(
            self._connection,
            self._sql("DELETE FROM {} d WHERE d.file = %s AND d.page > %s RETURNING 1"),
            [file.name, len(file)],
        )
        self.loaded.removed += len(gone)

    def refuse(self, name: str, error: Exception) -> None:
        """Note what cannot be had."""
        self.loaded.refused.append(f"{name}: {error}")

    def _readable(self, pages: Sequence[Page]) -> Iterator[tuple[Page, Image]]:
        for page in pages:
            try:
                yield page, page.picture()
            except BadPicture as error:
                self.refuse(page.key, error)

    def _encoded(self, pages: Sequence[tuple[Page, Image]]) -> list[Matrix | None]:
        """The vectors of pages; None for one that the model refuses."""
        try:
            return list(self._encoder.encode_pictures([picture for _, picture in pages]))
        except (ColbertError, ValueError):
            return [self._encoded_apart(page, picture) for page, picture in pages]

    def _encoded_apart(self, page: Page, picture: Image) -> Matrix | None:
        try:
            (vectors,) = self._encoder.encode_pictures([picture])
        except (ColbertError, ValueError) as error:
            self.refuse(page.key, error)
            return None
        return vectors

    def _store(self, encoded: Sequence[tuple[Page, Image, Matrix]], there: dict[int, str]) -> None:
        """Bring pages into the table, all of them or none."""
        if not encoded:
            return
        changed = [page.number for page, _, _ in encoded if page.number in there]
        with self._connection.transaction():
            self._connection.execute(
                self._sql("DELETE FROM {} d WHERE d.file = %s AND d.page = ANY (%s)"),
                [encoded[0][0].file, changed],
            )
            self._client.add(
                self._target.name,
                keys=[page.key for page, _, _ in encoded],
                columns={
                    "file": [page.file for page, _, _ in encoded],
                    "page": [page.number for page, _, _ in encoded],
                    "width": [picture.width for _, picture, _ in encoded],
                    "height": [picture.height for _, picture, _ in encoded],
                    "digest": [page.digest for page, _, _ in encoded],
                    **self._pooled([vectors for _, _, vectors in encoded]),
                },
                embeddings=[vectors for _, _, vectors in encoded],
                key_column="id",
                embeddings_column="embeddings",
            )
        self.loaded.added += len(encoded) - len(changed)
        self.loaded.changed += len(changed)

    def _pooled(self, embeddings: Sequence[Matrix]) -> dict[str, list[Any]]:
        """The column of the first stage; none without one."""
        factor = self._first_stage
        if factor is None:
            return {}
        return {FIRST_STAGE: [self._kind(pool(vectors, factor)) for vectors in embeddings]}

    def _sql(self, statement: str) -> sql.Composed:
        return sql.SQL(statement).format(self._target.identifier)


def load_pages(
    target: Table,
    encoder: Encoder,
    files: Sequence[Path],
    advance: Callable[[int], None],
    expect: Callable[[int], None],
    first_stage: float | None = None,
) -> LoadedPages:
    """Load files one after the other.

    Args:
        target: the table, which is there.
        encoder: of a model that takes pictures.
        files: PDF files and pictures; one that is broken is noted, and the others go on.
        advance: called with the number of pages that are done.
        expect: called with the number of pages of each file, before it is read.
        first_stage: by what the vectors of the first stage are pooled; None: there is none.
    """
    loader = PageLoader(target, encoder, first_stage)
    for path in dict.fromkeys(files):
        try:
            file = PageFile(path)
        except (BadPicture, OSError) as error:
            loader.refuse(path.as_posix(), error)
            continue
        with closing(file):
            expect(len(file))
            loader.load(file, advance=advance)
    return loader.loaded


def picture_of(target: Table, key: str, directory: Path) -> Image | None:
    """The picture that a document is; None where it is a text, or not there.

    Args:
        target: the table.
        key: of the document.
        directory: what paths of pictures that workers encode are relative to.

    Raises:
        ColbertError: the picture cannot be had, or is not the one that was loaded.
    """
    try:
        if target.pictures() is None:
            return _page_picture(target, key) if target.page_vectors() is not None else None
        (stored,) = target.contents([key]).values() or (None,)
        if isinstance(stored, str):
            stored = picture_below(directory, stored)
        return None if stored is None else open_picture(stored)
    except BadPicture as error:
        raise ColbertError(f"{key}: {error}") from error


def _page_picture(target: Table, key: str) -> Image | None:
    """The picture of a page, from the file that was loaded."""
    found = rows_of(
        target.connection,
        sql.SQL(
            "SELECT d.file, d.page, d.digest FROM {} d WHERE d.id = %s AND d.file IS NOT NULL"
        ).format(target.identifier),
        [key],
    )
    if not found:
        return None
    ((name, number, digest),) = found
    try:
        file = PageFile(Path(name))
    except OSError as error:
        raise ColbertError(
            f"{name} cannot be read: run this in the directory where it was loaded"
        ) from error
    with closing(file):
        page = next(islice(file.pages(), number - 1, None), None)
        if page is None or page.digest != digest:
            raise ColbertError(f"{name} has changed since it was loaded: load it again")
        return page.picture()
