"""Word pieces become words again, and passages are chosen where good matches stand close."""

from __future__ import annotations

import pytest

from colbert_pg.client import Match
from colbert_pg.explain import snippets, words
from tests.client.words import Word as Token

TEXT = "Unhappily, the dog-house of COVID-19"


def token(piece: str, text: str = TEXT, after: int = 0) -> Token:
    start = text.index(piece, after)
    return Token(piece, start, start + len(piece))


def test_pieces_of_a_word_are_put_together_and_keep_their_positions() -> None:
    marker = Token("[CLS]", None, None)
    pieces = ["Un", "happi", "ly", ",", "the", "dog", "-", "house", "of", "CO", "VID", "-", "19"]
    place, tokens = 0, [marker]
    for piece in pieces:
        tokens.append(token(piece, after=place))
        place = tokens[-1].end or 0

    found = words(TEXT, tokens)

    assert [word.text for word in found] == [
        *("[CLS]", "Unhappily", ",", "the", "dog", "-", "house", "of", "COVID", "-", "19")
    ]
    assert found[1].positions == (2, 3, 4)
    assert found[0] == ("[CLS]", None, None, (1,))
    assert [word.text for word in found if word.start is not None] == [
        TEXT[word.start : word.end] for word in found if word.start is not None
    ]


def test_a_skipped_token_between_two_pieces_keeps_them_apart() -> None:
    text = "co-op"
    assert [w.text for w in words(text, [token("co", text), token("op", text, 3)])] == ["co", "op"]


# Snippets

FILLER = "nothing of interest " * 20
LONG = f"{FILLER}the needle lies here {FILLER}and a second pin there {FILLER}"


def match(piece: str, similarity: float, text: str = LONG) -> Match:
    return Match(1, None, 1, token(piece, text), similarity)


def test_the_best_passages_are_shown_in_their_order_and_the_matches_marked() -> None:
    found = snippets(LONG, [match("pin", 0.5), match("needle", 0.9), match("lies", 0.3)], 60)
    assert len(found) == 2
    first, second = found
    assert "the needle lies here" in first.text
    assert "second pin there" in second.text
    marked = [[snippet.text[m.start : m.end] for m in snippet.marks] for snippet in found]
    assert marked == [["needle", "lies"], ["pin"]]
    assert [mark.similarity for mark in first.marks] == [0.9, 0.3]
    for snippet in found:
        assert len(snippet.text) <= 60
        assert snippet.text.startswith("… ")
        assert snippet.text.endswith(" …")


def test_one_passage_holds_matches_that_stand_close() -> None:
    assert len(snippets(LONG, [match("needle", 0.9), match("here", 0.2)], 60)) == 1


def test_one_strong_match_gives_way_to_several_that_stand_close() -> None:
    found = snippets(
        LONG, [match("pin", 0.9), match("needle", 0.6), match("here", 0.6)], 60, count=1
    )
    assert "needle" in found[0].text


def test_without_a_place_in_the_text_its_beginning_is_shown() -> None:
    nowhere = Match(1, None, 1, Token("[SEP]", None, None), 0.9)
    for matches in ([], [nowhere], [Match(1, None, 1, None, 0.9)]):
        (only,) = snippets(LONG, matches, 40)
        assert only.text.startswith("nothing of interest")
        assert only.text.endswith(" …")
        assert only.marks == []


def test_a_short_text_is_shown_whole_in_one_line() -> None:
    text = "First\n\n line,\tsecond  line"
    (only,) = snippets(text, [match("second", 0.5, text)], 80)
    assert only.text == "First line, second line"
    assert [only.text[m.start : m.end] for m in only.marks] == ["second"]


@pytest.mark.parametrize("width", [1, 5, 20, 80])
@pytest.mark.parametrize("text", ["", "word", "x" * 500, "é" * 30 + " 💡 " + "ü" * 300])
def test_no_text_and_no_width_breaks_it(text: str, width: int) -> None:
    matches = [Match(1, None, 1, Token(text[a:b], a, b), 0.5) for a, b in [(0, 1), (30, 60)]]
    for snippet in snippets(text, matches if len(text) > 60 else [], width):
        assert len(snippet.text) <= max(width, 40)
