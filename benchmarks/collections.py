"""Collections that differ from SciFact, of text that machines have.

    scifact        5,183 abstracts of 240 tokens; queries of 23 tokens (claims)
    keywords       the same abstracts; queries of the three rarest words of each claim
    code           functions of Python's standard library without their docstrings; queries are the
                   first sentences of those
    documentation  docstrings of the standard library without their first sentences; queries are
                   those
    packages       descriptions of Debian's packages, as apt keeps them; queries are the one-line
                   summaries of some of them
    growing        packages, and more documents made of them (growth.py)

Defaults were chosen on scifact, keywords, code and packages. The others are for checking them. Only
scifact has judgements: the truth is exact search.

    python -m benchmarks.collections NAME...   encode them into the cache
"""

from __future__ import annotations

import ast
import math
import re
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks import scifact
from benchmarks.growth import more_documents
from benchmarks.harness import CACHE
from benchmarks.scifact import Collection, encoded
from colbert_pg.cli.corpus import source_files, standard_library_docstrings
from colbert_pg.vectors import Matrix

QUERIES = 200
GENERATED = 2000  # documents, where SciFact is not there
APT_LISTS = Path("/var/lib/apt/lists")
APT_HELPER = "/usr/lib/apt/apt-helper"


def named(name: str, documents: int | None = None, queries: int | None = None) -> Collection:
    """A collection by its name, or a part of it.

    Its texts are encoded on first use, which takes minutes. Where SciFact is not there, generated
    vectors stand for it.
    """
    if name == "scifact":
        if not scifact.SCIFACT.is_dir():
            return scifact.generated(documents or GENERATED, queries or QUERIES)
        return scifact.collection(documents, queries)
    whole = COLLECTIONS[name]()
    return Collection(
        whole.name,
        whole.documents[:documents],
        whole.queries[:queries],
        whole.judgements[:queries],
        whole.texts[:documents],
        whole.questions[:queries],
    )


def _keywords() -> Collection:
    whole = scifact.collection()
    texts = scifact.read("corpus.jsonl").texts
    frequency = Counter(word for text in texts for word in set(_words(text)))
    claims = scifact.read("queries.jsonl").texts[:QUERIES]
    rare = [
        " ".join(sorted(dict.fromkeys(_words(claim)), key=lambda w: frequency[w] or math.inf)[:3])
        for claim in claims
    ]
    _, queries = encoded([], rare, CACHE / "keywords.npz")
    return whole._replace(
        name="keywords", queries=[_half(q) for q in queries], judgements=[], questions=rare
    )


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z][a-z0-9-]{2,}", text.lower())


def _code() -> Collection:
    """Each function of 4 lines or more that has a docstring, without it."""
    pairs = {text: question for question, text in _functions()}
    return _from_texts("code", {question: text for text, question in pairs.items()})


def _functions() -> Iterator[tuple[str, str]]:
    for path, _ in source_files():
        try:
            source = path.read_text(encoding="utf-8")
            tree = ast.parse(source)
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and (doc := ast.get_docstring(node)):
                lines = source.splitlines()
                after = node.body[0].end_lineno or 0
                body = lines[node.lineno - 1 : node.body[0].lineno - 1]
                body += lines[after : node.end_lineno]
                if len(body) >= 4:
                    yield _first_sentence(doc)[0], textwrap.dedent("\n".join(body))


def _documentation() -> Collection:
    pairs = {}
    for docstring in standard_library_docstrings():
        question, rest = _first_sentence(docstring.text)
        if len(rest.split()) >= 10:
            pairs[question] = f"{docstring.name}\n{rest}"
    return _from_texts("documentation", pairs)


def _packages(count: int = 12_000) -> Collection:
    pairs = {}
    for file in sorted(APT_LISTS.glob("*_main_i18n_Translation-en*")):
        listed = subprocess.run(
            [APT_HELPER, "cat-file", file], check=True, capture_output=True, text=True
        ).stdout
        for entry in listed.split("\n\n"):
            if found := re.search(r"^Description-en: (.+)\n((?: .*\n?)+)", entry, re.MULTILINE):
                pairs[found[1]] = found[2].replace("\n .\n", "\n").strip()
    if not pairs:
        sys.exit("apt has no descriptions: apt-get -o Acquire::Languages=en update")
    spread = list(pairs.items())[:: max(1, len(pairs) // count)][:count]
    return _from_texts("packages", dict(spread))


def _growing(count: int = 60_000) -> Collection:
    packages = _packages()
    more = islice(more_documents(packages.documents), count - len(packages.documents))
    return Collection("growing", [*packages.documents, *more], packages.queries, [])


def _from_texts(name: str, documents: Mapping[str, str]) -> Collection:
    """Documents by a question each, of which some are asked."""
    asked = list(documents)[:: max(1, len(documents) // QUERIES)][:QUERIES]
    texts = list(documents.values())
    vectors, queries = encoded(texts, asked, CACHE / f"{name}.npz")
    cached = len(vectors) == len(texts)  # else the cache is of another Python, or of older lists
    return Collection(
        name,
        [_half(document) for document in vectors],
        [_half(query) for query in queries],
        [],
        texts if cached else (),
        asked if cached else (),
    )


def _first_sentence(text: str) -> tuple[str, str]:
    found = re.match(r"(.+?[.:])(\s+|$)(.*)", text, re.DOTALL)
    first, rest = (found[1], found[3]) if found else (text, "")
    return " ".join(first.split()[:20]), rest


def _half(vectors: Matrix) -> Matrix:
    return vectors.astype(np.float16).astype(np.float32)


COLLECTIONS: dict[str, Callable[[], Collection]] = {
    "scifact": scifact.collection,
    "keywords": _keywords,
    "code": _code,
    "documentation": _documentation,
    "packages": _packages,
    "growing": _growing,
}


def main() -> None:
    for name in sys.argv[1:] or COLLECTIONS:
        whole = named(name)
        lengths = [len(document) for document in whole.documents]
        asked = [len(query) for query in whole.queries]
        print(
            f"{whole}; {np.mean(lengths):.0f} tokens a document, {np.mean(asked):.0f} a query",
            flush=True,
        )


if __name__ == "__main__":
    main()
