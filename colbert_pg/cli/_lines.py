"""Documents in a file of JSON lines, and what is wrong with lines that are none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from typer import get_binary_stream

from colbert_pg.errors import ColbertError

_COMPLAINTS = 10  # bad lines of which one message says what is wrong


@dataclass(frozen=True)
class Document:
    """A key and a text; of a chunk, the key of its document, too.

    ``fields`` are the others of its line, by name, and ``line`` is the number of that.
    """

    id: str
    content: str
    parent: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict, compare=False)
    line: int | None = field(default=None, compare=False)


class BadDocuments(ColbertError):  # noqa: N818
    """Lines of a file that are no documents; the message names file and line of each."""


@dataclass
class Lines:
    """The documents of a JSON lines file: objects with id (or _id), text, and maybe title.

    ``name`` is how messages call the file, ``bad`` what is wrong with which line, once it has been
    checked.
    """

    path: Path
    name: str
    bad: dict[int, str] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def of(cls, path: Path) -> Iterator[Lines]:
        """A file; of standard input, which ``-`` names and can be read but once, a copy."""
        if str(path) != "-":
            yield cls(path, str(path))
            return
        with NamedTemporaryFile(suffix=".jsonl") as copy:
            shutil.copyfileobj(get_binary_stream("stdin"), copy)
            copy.flush()
            yield cls(Path(copy.name), "standard input")

    def check(self, *, skip_bad: bool = False) -> int:
        """Read all of the file without keeping it; returns the number of documents.

        Raises:
            BadDocuments: naming the bad lines, unless they are to be skipped.
            OSError: if the file cannot be read.
        """
        first: dict[str, int] = {}
        self.bad.clear()
        for number, line in self._lines():
            try:
                document = _document(line, number)
                if document.id in first:
                    raise ValueError(f"id {document.id!r} is that of line {first[document.id]}")
                first[document.id] = number
            except ValueError as error:
                self.bad[number] = str(error)
        if self.bad and not skip_bad:
            raise BadDocuments(self.complaints())
        return len(first)

    def read(self) -> Iterator[Document]:
        """The documents, without the lines that were found bad.

        Raises:
            BadDocuments: at the first other line that is none.
            OSError: if the file cannot be read.
        """
        for number, line in self._lines():
            if number not in self.bad:
                try:
                    yield _document(line, number)
                except ValueError as error:
                    raise BadDocuments(f"{self.name}:{number}: {error}") from error

    def complaints(self) -> str:
        """What is wrong with the first bad lines, and the numbers of the others."""
        numbers = sorted(self.bad)
        shown = [f"{self.name}:{number}: {self.bad[number]}" for number in numbers[:_COMPLAINTS]]
        more = numbers[_COMPLAINTS:]
        if more:
            shown.append(f"and {len(more)} more: lines {_ranges(more)}")
        return "\n".join(shown)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line


def _ranges(numbers: Iterable[int]) -> str:
    """Numbers in their order, as ``3-7, 9``."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)


def _document(line: bytes, number: int) -> Document:
    try:
        fields = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error.reason} at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")
    key = fields.pop("id") if "id" in fields else fields.pop("_id", None)
    if isinstance(key, bool) or not isinstance(key, str | int) or key == "":
        raise ValueError('"id" (or "_id") must be a string or a whole number')
    text, title = fields.pop("text", None), fields.get("title") or ""
    if not isinstance(text, str) or not isinstance(title, str):
        raise ValueError('"text" must be a string, and so must "title"')
    document = Document(str(key), f"{title}\n{text}".strip(), fields=fields, line=number)
    if not document.content:
        raise ValueError('"text" is empty')
    for value in (document.id, document.content):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("a character that no PostgreSQL text can hold")
    return document
