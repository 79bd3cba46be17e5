"""Real text that every machine has: the documentation strings of Python's standard library."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

# Tests, tools that come along, and tables of characters.
_SKIPPED = {
    *("test", "tests", "distutils", "encodings", "ensurepip", "idlelib", "lib2to3", "msilib"),
    *("pydoc_data", "turtledemo"),
}

# Modules written in C, all or in part: their documentation stands in no Python file.
_COMPILED = (
    *("array", "binascii", "bisect", "builtins", "bz2", "collections", "csv", "datetime"),
    *("decimal", "functools", "gc", "heapq", "io", "itertools", "json", "lzma", "math"),
    *("operator", "os", "pickle", "random", "select", "socket", "sqlite3", "struct", "sys"),
    *("time", "unicodedata", "zlib"),
)

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class Docstring(NamedTuple):
    """What a module, class or function says of itself, under its dotted name."""

    name: str
    text: str


def standard_library_docstrings(
    limit: int | None = None, minimum_words: int = 10
) -> list[Docstring]:
    """Documentation strings of the standard library's public modules, classes and functions.

    They are read from the source files, without importing them, and where a module is written in C
    from the module. Names with a leading underscore, texts of fewer than ``minimum_words`` words,
    and repeated names and texts are left out. The list is sorted by name and is the same for the
    same build of Python; ``limit`` takes that many documents spread evenly over it.
    """
    texts: dict[str, str] = {}
    seen: set[str] = set()
    for name, text in chain(_written_in_python(), _written_in_c()):
        if len(text.split()) >= minimum_words and name not in texts and text not in seen:
            texts[name] = text
            seen.add(text)
    documents = [Docstring(name, texts[name]) for name in sorted(texts)]
    if limit is None or limit >= len(documents):
        return documents
    return [documents[i * len(documents) // limit] for i in range(limit)]


def _written_in_python() -> Iterator[Docstring]:
    for path, module in source_files():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            try:
                tree = ast.parse(path.read_bytes())
            except (SyntaxError, ValueError):  # templates, and errors on purpose
                continue
        yield from _documented(tree, module)


def source_files() -> Iterator[tuple[Path, str]]:
    library = Path(sysconfig.get_path("stdlib"))
    for top in sorted(sys.stdlib_module_names):
        for path in (library / f"{top}.py", *sorted((library / top).rglob("*.py"))):
            parts = path.relative_to(library).with_suffix("").parts
            private = any(_is_private(part) for part in parts)
            if path.is_file() and not private and _SKIPPED.isdisjoint(parts):
                yield path, ".".join(parts).removesuffix(".__init__")


def _documented(node: ast.Module | Definition, name: str) -> Iterator[Docstring]:
    text = ast.get_docstring(node)
    if text:
        yield Docstring(name, text)
    if isinstance(node, ast.Module | ast.ClassDef):
        for child in node.body:
            if isinstance(child, Definition) and not _is_private(child.name):
                yield from _documented(child, f"{name}.{child.name}")


def _written_in_c() -> Iterator[Docstring]:
    for name in _COMPILED:
        try:
            module = importlib.import_module(name)
        except ImportError:  # a build without the library that this needs
            continue
        yield from _doc(name, module)
        for public in getattr(module, "__all__", None) or vars(module):
            value = getattr(module, public)
            if callable(value) and not _is_private(public):
                yield from _doc(f"{name}.{public}", value)
                for method in sorted(vars(value)) if isinstance(value, type) else ():
                    if callable(vars(value)[method]) and not _is_private(method):
                        yield from _doc(f"{name}.{public}.{method}", vars(value)[method])


def _doc(name: str, value: object) -> Iterator[Docstring]:
    text = value.__doc__
    if isinstance(text, str):
        yield Docstring(name, inspect.cleandoc(text))


def _is_private(name: str) -> bool:
    return name.startswith("_") and name != "__init__"
