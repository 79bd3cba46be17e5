"""An explanation as a web page: one file that needs no network, for any browser, large or small.

The template is templates/explanation.html. It gets plain values, and Jinja escapes every one of
them: a text is shown, whatever it holds, and never becomes markup or script.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from colbert_pg._extras import pip_install
from colbert_pg.client import Explanation
from colbert_pg.encoding import Patch, TokenText
from colbert_pg.errors import ColbertError
from colbert_pg.explain._words import Word, words
from colbert_pg.vectors import Matrix

if TYPE_CHECKING:
    from jinja2 import Template
    from PIL.Image import Image

_LONGEST = 1600  # pixels of a picture's longer side, within a page


class _QueryWord(NamedTuple):
    """A word of the query, its share of the score, and the document words that answered it."""

    text: str
    added: bool
    score: float
    answers: list[int]


class _Piece(NamedTuple):
    """A stretch of the document: a word by its number, or what stands between words.

    The patches of a picture are words, too.
    """

    text: str
    number: int | None = None
    added: bool = False
    score: float = 0
    strength: float = 0
    patch: Patch | None = None


def explanation_page(
    query: str,
    explained: Explanation,
    query_tokens: Sequence[TokenText],
    document_tokens: Sequence[TokenText],
    similarities: Matrix,
    picture: Image | None = None,
) -> str:
    """The HTML of a page that shows what in a document answered which words of a query.

    Of a text that is its words; of a picture its patches, which are laid over it.

    Args:
        query: its text.
        explained: what ``Client.explain`` returned for it.
        query_tokens: what the query's vectors stand for.
        document_tokens: what the document's vectors stand for: :meth:`Encoder.document_tokens` of
            its text, or :meth:`Encoder.picture_tokens` of its picture.
        similarities: float array (query tokens, document tokens), the inner products.
        picture: what was encoded, for a document that is a picture.

    Raises:
        ColbertError: if the text is not there, or is not what was encoded: the tokens do not fit.
    """
    if picture is None and explained.content is None:
        raise ColbertError("the document has no text to show")
    if similarities.shape != (len(query_tokens), len(document_tokens)):
        encoded = "text" if picture is None else "picture"
        raise ColbertError(
            f"the {encoded} makes {len(document_tokens)} tokens, but there are "
            f"{similarities.shape[1]} vectors: the {encoded} has changed since, or another model "
            "made them"
        )
    content = "" if picture is not None else explained.content or ""
    asked = words(query, query_tokens)
    answering = words(content, document_tokens)
    word_at = {place: n for n, word in enumerate(answering) for place in word.positions}
    matches = {match.query_position: match for match in explained.matches}

    scores = [0.0] * len(answering)
    query_words = []
    for word in asked:
        found = [matches[place] for place in word.positions]
        for match in found:
            scores[word_at[match.document_position]] += match.similarity
        query_words.append(
            _QueryWord(
                word.text,
                word.start is None,
                sum(match.similarity for match in found),
                sorted({word_at[match.document_position] for match in found}),
            )
        )
    end = _end(answering)
    return _template().render(
        query=query,
        doc_id=str(explained.doc_id),
        score=explained.score,
        query_words=query_words,
        best=max((word.score for word in query_words), default=1) or 1,
        pieces=list(_pieces(content, answering, scores, document_tokens)),
        picture=None if picture is None else _data_url(picture),
        document_words=[word.text for word in answering],
        matrix=_by_word(similarities, asked, answering),
        cut=end if len(content.rstrip()) > end else None,
    )


def _pieces(
    content: str,
    answering: Sequence[Word],
    scores: Sequence[float],
    tokens: Sequence[TokenText],
) -> Iterator[_Piece]:
    strongest = max(scores, default=0) or 1
    shown = 0
    for number, word in enumerate(answering):
        score = scores[number]
        strength = round(max(score, 0) / strongest, 3)
        if word.start is None or word.end is None:
            token = tokens[word.positions[0] - 1]
            patch = token if isinstance(token, Patch) else None
            yield _Piece(word.text, number, patch is None, score, strength, patch)
            continue
        if word.start > shown:
            yield _Piece(content[shown : word.start])
        yield _Piece(content[word.start : word.end], number, False, score, strength)
        shown = word.end
    if content[shown:].strip():
        yield _Piece(content[shown:])


def _data_url(picture: Image) -> str:
    """The picture within the page: no larger than a screen shows it."""
    shown = picture.convert("RGB")
    shown.thumbnail((_LONGEST, _LONGEST))
    file = BytesIO()
    shown.save(file, "JPEG", quality=85, optimize=True)
    return f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode('ascii')}"


def _end(answering: Sequence[Word]) -> int:
    return max((word.end or 0 for word in answering), default=0)


def _by_word(
    similarities: Matrix, asked: Sequence[Word], answering: Sequence[Word]
) -> list[list[float]]:
    """The similarity of two words: that of their most similar tokens."""

    def rows(word: Word) -> list[int]:
        return [place - 1 for place in word.positions]

    return [
        [round(float(similarities[rows(q)][:, rows(d)].max()), 3) for d in answering] for q in asked
    ]


@cache
def _template() -> Template:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"a page needs Jinja: {pip_install('cli')}") from error
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("explanation.html")
