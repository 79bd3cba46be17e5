"""The passages of a document that answer a query: where its best-matching words stand close."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from colbert_pg.client import Match


class Mark(NamedTuple):
    """A matched token in a snippet, ``snippet.text[start:end]``, and its similarity."""

    start: int
    end: int
    similarity: float


class Snippet(NamedTuple):
    """A passage of a document, in one line, and the matched tokens in it."""

    text: str
    marks: list[Mark]


class _Found(NamedTuple):
    start: int
    end: int
    similarity: float


def snippets(content: str, matches: Sequence[Match], width: int, count: int = 2) -> list[Snippet]:
    """The best passages of a text, in the order in which they stand there.

    A passage is worth the similarities of the matches in it. Where no match has a place in the text
    (pooled vectors, markers), the beginning of the text is the only passage.

    Args:
        content: the text.
        matches: of :meth:`Client.explain`, with the texts of their document tokens.
        width: characters of a passage, its ellipses included.
        count: how many passages at most.
    """
    found = [
        _Found(match.document_token.start, match.document_token.end, match.similarity)
        for match in matches
        if match.document_token is not None
        and match.document_token.start is not None
        and match.document_token.end is not None
    ]
    room = max(width - 4, 1)
    chosen: list[tuple[int, int]] = []
    while len(chosen) < count:
        passage = _best(found, room)
        if passage is None:
            break
        start, end = _around(content, *passage, room)
        if all(end <= other or start >= other_end for other, other_end in chosen):
            chosen.append((start, end))
        found = [match for match in found if match.end <= start or match.start >= end]
    if not chosen:
        chosen = [_around(content, 0, 0, room)]
    return [_snippet(content, start, end, matches) for start, end in sorted(chosen)]


def _best(found: Sequence[_Found], room: int) -> tuple[int, int] | None:
    """The stretch of at most so many characters with the largest sum of similarities."""
    best, most = None, 0.0
    for first in found:
        inside = [f for f in found if f.start >= first.start and f.end <= first.start + room]
        worth = sum(f.similarity for f in inside)
        if inside and worth > most:
            best, most = (first.start, max(f.end for f in inside)), worth
    return best


def _around(content: str, start: int, end: int, room: int) -> tuple[int, int]:
    """The stretch, widened on both sides to the room there is, and cut between words."""
    before = max(0, start - (room - (end - start)) // 3)
    after = min(len(content), before + room)
    before = max(0, min(before, after - room))
    while before and before < start and not content[before - 1].isspace():
        before += 1
    while after < len(content) and after > end and not content[after].isspace():
        after -= 1
    return before, after


def _snippet(content: str, start: int, end: int, matches: Sequence[Match]) -> Snippet:
    """The stretch in one line: every run of white space becomes one blank."""
    places: dict[int, int] = {}
    text = "… " if content[:start].strip() else ""
    for place in range(start, end):
        places[place] = len(text)
        if not content[place].isspace():
            text += content[place]
        elif text and text[-1] != " ":
            text += " "
    text = text.rstrip() + (" …" if content[end:].strip() else "")
    strongest: dict[tuple[int, int], float] = {}
    for match in matches:
        token = match.document_token
        if token is None or token.start is None or token.end is None:
            continue
        if token.start in places and token.end - 1 in places:
            at = (places[token.start], places[token.end - 1] + 1)
            strongest[at] = max(match.similarity, strongest.get(at, match.similarity))
    marks = [Mark(*at, similarity) for at, similarity in sorted(strongest.items())]
    return Snippet(text, marks)
