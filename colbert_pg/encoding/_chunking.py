"""Texts that are longer than a model reads, cut into chunks that overlap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Chunk(NamedTuple):
    """A piece of a text: ``text == whole[start:end]``."""

    text: str
    start: int
    end: int


class Piece(NamedTuple):
    """Characters that stay together, and how many tokens they make."""

    start: int
    end: int
    tokens: int


def pieces(
    offsets: Sequence[tuple[int, int]], words: Sequence[int | None], tokens: int
) -> list[Piece]:
    """The words of a text; one that is longer than a chunk falls apart into its tokens.

    Args:
        offsets: where each token begins and ends.
        words: the number of the word that each token belongs to; None for a token by itself.
        tokens: how many a chunk may have.
    """
    found: list[Piece] = []
    last = None
    for (start, end), word in zip(offsets, words, strict=True):
        if word is not None and word == last:
            found[-1] = Piece(found[-1].start, end, found[-1].tokens + 1)
        else:
            found.append(Piece(start, end, 1))
        last = word
    if all(piece.tokens <= tokens for piece in found):
        return found
    too_long = {
        place for piece in found if piece.tokens > tokens for place in range(piece.start, piece.end)
    }
    alone = [
        None if start in too_long else word for (start, _), word in zip(offsets, words, strict=True)
    ]
    return pieces(offsets, alone, tokens)


def chunks(text: str, parts: Sequence[Piece], tokens: int, overlap: int) -> Iterator[Chunk]:
    """As few chunks as there can be, each of at most ``tokens`` tokens.

    Each begins with the last ``overlap`` tokens of the one before, or a few less: pieces stay
    whole, and every chunk goes on from where the one before it ended.
    """
    begin = 0
    while begin < len(parts):
        end, held = begin, 0
        while end < len(parts) and held + parts[end].tokens <= tokens:
            held += parts[end].tokens
            end += 1
        start, stop = parts[begin].start, parts[end - 1].end
        yield Chunk(text[start:stop], start, stop)
        if end == len(parts):
            return
        # The next piece must fit beside what is repeated, or the next chunk would end here, too.
        room = min(overlap, tokens - parts[end].tokens)
        begin = end
        while begin > 0 and parts[begin - 1].tokens <= room:
            begin -= 1
            room -= parts[begin].tokens
