"""Words, put together again from the pieces that a tokenizer made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from colbert_pg.encoding import TokenText


class Word(NamedTuple):
    """A word of a text, ``text[start:end]``, or with None for both what the model adds.

    ``positions`` are those of its tokens, from 1.
    """

    text: str
    start: int | None
    end: int | None
    positions: tuple[int, ...]


def words(text: str, tokens: Sequence[TokenText]) -> list[Word]:
    """The words of a text, in order, from the tokens that have a vector.

    Pieces belong together where nothing stands between them and letters or digits meet. A token
    that the model adds, such as ``[CLS]``, is a word by itself.
    """
    return list(_merged(text, tokens))


def _merged(text: str, tokens: Sequence[TokenText]) -> Iterator[Word]:
    word: Word | None = None
    for position, token in enumerate(tokens, start=1):
        if word is not None and _continues(text, word, token):
            assert word.start is not None
            assert token.end is not None
            merged = text[word.start : token.end]
            word = Word(merged, word.start, token.end, (*word.positions, position))
            continue
        if word is not None:
            yield word
        word = Word(token.text, token.start, token.end, (position,))
    if word is not None:
        yield word


def _continues(text: str, word: Word, token: TokenText) -> bool:
    if word.end is None or token.start is None or token.end is None or token.start != word.end:
        return False
    return text[word.end - 1].isalnum() and text[token.start].isalnum()
