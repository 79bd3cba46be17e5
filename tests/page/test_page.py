"""The page of an explanation, in a real browser: what it shows, on which device, and no more."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colbert_pg.client import Explanation, Match
from colbert_pg.encoding import Patch, Token, TokenText
from colbert_pg.errors import ColbertError
from colbert_pg.page import explanation_page
from tests.client.words import WordEncoder
from tests.waiting import PATIENCE

Image = pytest.importorskip("PIL.Image")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
QUERY = "cat asleep"
TEXT = "The cat sat on the mat.\nA dog chased the cat, asleep again."
HOSTILE = """</p></script><script>document.title = "owned"</script>
<img src=x onerror="document.title='owned'"> cat {{ 7 * 7 }} {% raw %} "quoted' & <b>bold</b>
\\u003c javascript:alert(1) http://example.com/x.png \u202eright\u202c"""


class Positions(WordEncoder):
    """The same vector for a word anywhere, but for a little of its place: no two are equal."""

    def _encode(self, text: str) -> Any:
        matrix = super()._encode(text)
        matrix += np.arange(len(matrix), dtype=np.float32)[:, None] * 1e-3
        return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def page(query: str = QUERY, text: str = TEXT, doc_id: str = "a-7") -> str:
    encoder = Positions()
    (vectors,), (document,) = encoder.encode_queries([query]), encoder.encode_documents([text])
    query_tokens, document_tokens = encoder.query_tokens(query), encoder.document_tokens(text)
    similarities = vectors @ document.T
    matches = [
        Match(q + 1, query_tokens[q], int(d) + 1, document_tokens[d], float(similarities[q, d]))
        for q, d in enumerate(similarities.argmax(axis=1))
    ]
    explained = Explanation(doc_id, sum(m.similarity for m in matches), matches, text)
    return explanation_page(query, explained, query_tokens, document_tokens, similarities)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, without a window."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium: apt-get install chromium, or .ci/programs install")
    sync_api = pytest.importorskip("playwright.sync_api")
    sandbox = [] if os.geteuid() else ["--no-sandbox"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        browser.close()


class Shown:
    """A page in a tab, and all that the browser complained of or asked the network for."""

    def __init__(self, browser: Any, path: Path, html: str, **device: Any) -> None:
        path.write_text(html, encoding="utf-8")
        self.context = browser.new_context(**device)
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(1000 * PATIENCE)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.tab.on("console", lambda message: self.complaints.append(message.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.goto(path.as_uri())

    def texts(self, selector: str) -> list[str]:
        found: list[str] = self.tab.locator(selector).all_inner_texts()
        return found

    @property
    def says(self) -> str:
        text: str = self.tab.inner_text("[role=status]")
        return text

    def style(self, selector: str, name: str) -> str:
        value: str = self.tab.locator(selector).first.evaluate(
            "(element, name) => getComputedStyle(element).getPropertyValue(name)", name
        )
        return value


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Any]:
    shown: list[Shown] = []

    def show(html: str, **device: Any) -> Shown:
        shown.append(Shown(browser, tmp_path / f"{len(shown)}.html", html, **device))
        return shown[-1]

    yield show
    for one in shown:
        assert one.complaints == []
        assert [url for url in one.requests if not url.startswith("file:")] == []
        one.context.close()


PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


# What it shows


def test_the_document_is_there_as_it_was_with_the_answering_words_shaded(show: Any) -> None:
    shown = show(page())
    assert shown.tab.inner_text(".text") == TEXT
    assert shown.texts(".ask span") == ["cat", "asleep"]
    assert shown.texts(".word[role=button]") == ["cat", "asleep"]
    assert shown.style(".word[role=button]", "background-color") != "rgba(0, 0, 0, 0)"
    assert "a-7" in shown.tab.inner_text("h1")
    assert "2.00" in shown.tab.inner_text(".top")


def test_the_matrix_has_every_pair_of_words_and_frames_the_best(show: Any) -> None:
    shown = show(page())
    words = [w.text for w in WordEncoder().document_tokens(TEXT)]
    assert shown.texts("tbody th") == ["cat", "asleep"]
    assert shown.texts("thead th") == words
    values = shown.tab.locator("tbody td").all_text_contents()
    assert len(values) == 2 * len(words)
    assert all(-1 <= float(value) <= 1.001 for value in values)
    assert shown.tab.locator("td.best").count() == 2


def test_a_tap_on_a_word_of_the_query_shows_what_it_matched_and_another_takes_it_back(
    show: Any,
) -> None:
    shown = show(page(), **PHONE)
    before = shown.says
    shown.tab.tap("[data-asked='1']")
    assert shown.says == "asleep matched asleep 1.00"
    assert shown.texts(".is-answer") == ["asleep"]
    assert shown.tab.get_attribute("[data-asked='1']", "aria-pressed") == "true"
    assert shown.tab.locator("tr.row th").inner_text() == "asleep"
    shown.tab.tap("[data-asked='1']")
    assert shown.says == before
    assert shown.tab.locator(".is-answer, .is-chosen, [aria-pressed=true]").count() == 0


def test_a_tap_scrolls_to_a_match_that_is_out_of_sight(show: Any) -> None:
    shown = show(page(text="dog " * 600 + "asleep"), reduced_motion="reduce", **PHONE)
    assert shown.tab.locator(".word >> text=asleep").bounding_box()["y"] > 740
    shown.tab.tap("[data-asked='1']")
    assert 0 < shown.tab.locator(".word.is-answer").bounding_box()["y"] < 740


def test_a_tap_on_a_word_of_the_document_shows_what_it_answered(show: Any) -> None:
    shown = show(page(), **PHONE)
    shown.tab.tap(".word >> text=asleep")
    assert shown.says == "asleep answered asleep 1.00"
    assert shown.tab.locator("[data-asked='1'].is-answer").count() == 1
    shown.tab.tap(".word >> text=dog")
    assert shown.says.startswith("dog answered nothing; nearest is ")


def test_a_tap_on_a_cell_names_both_words(show: Any) -> None:
    shown = show(page(), **PHONE)
    shown.tab.tap("tbody tr:nth-child(2) td.best")
    assert shown.says == "asleep and asleep 1.00"
    shown.tab.tap("h2 >> nth=0")
    assert shown.tab.locator(".here").count() == 0


def test_hovering_shows_it_as_long_as_the_pointer_is_there(show: Any) -> None:
    shown = show(page())
    shown.tab.hover("[data-asked='1']")
    assert shown.says == "asleep matched asleep 1.00"
    shown.tab.hover("#matrix")
    assert shown.tab.locator(".is-answer").count() == 0


def test_the_keyboard_is_enough(show: Any) -> None:
    shown = show(page())
    shown.tab.keyboard.press("Tab")
    shown.tab.keyboard.press("Enter")
    assert shown.says.startswith("cat matched cat")
    shown.tab.keyboard.press("Tab")
    shown.tab.keyboard.press("Tab")
    shown.tab.keyboard.press("Space")
    assert shown.says.startswith("cat answered cat")
    shown.tab.keyboard.press("Escape")
    assert shown.tab.locator("[aria-pressed=true]").count() == 0


# Of a picture

ROWS, COLUMNS = 3, 4


def picture_page(query: str = QUERY) -> str:
    """A page whose first word was answered by row 2, column 3, and the second by what was added."""
    places = product(range(1, ROWS + 1), range(1, COLUMNS + 1))
    patches = [Patch(row, column, ROWS, COLUMNS) for row, column in places]
    document_tokens: list[TokenText] = [Token("[IMG]", None, None), *patches]
    query_tokens = WordEncoder().query_tokens(query)
    similarities = np.random.default_rng(0).uniform(0, 0.4, (2, 1 + len(patches)))
    similarities[0, 1 + COLUMNS + 2] = 0.9
    similarities[1, 0] = 0.8
    matches = [
        Match(q + 1, query_tokens[q], int(d) + 1, document_tokens[d], float(similarities[q, d]))
        for q, d in enumerate(similarities.argmax(axis=1))
    ]
    explained = Explanation("report.pdf#3", sum(m.similarity for m in matches), matches, None)
    image = Image.new("RGB", (600, 300), "white")
    return explanation_page(
        query, explained, query_tokens, document_tokens, similarities.astype(np.float32), image
    )


def test_patches_lie_over_the_picture_row_by_row(show: Any) -> None:
    shown = show(picture_page())
    picture = shown.tab.locator(".picture img")
    assert picture.evaluate("e => [e.naturalWidth, e.naturalHeight]") == [600, 300]
    whole = picture.bounding_box()
    patches = shown.tab.locator(".patch")
    assert patches.count() == ROWS * COLUMNS
    for number in range(ROWS * COLUMNS):
        row, column = divmod(number, COLUMNS)
        box = patches.nth(number).bounding_box()
        assert box["x"] == pytest.approx(whole["x"] + column * whole["width"] / COLUMNS, abs=1)
        assert box["y"] == pytest.approx(whole["y"] + row * whole["height"] / ROWS, abs=1)
        assert box["width"] == pytest.approx(whole["width"] / COLUMNS, abs=1)
        assert box["height"] == pytest.approx(whole["height"] / ROWS, abs=1)


def test_a_word_shows_the_patch_that_answered_it_and_the_patch_the_word(show: Any) -> None:
    shown = show(picture_page(), **PHONE)
    shown.tab.tap("[data-asked='0']")
    assert shown.says == "cat matched row 2, column 3 0.90"
    answer = shown.tab.locator(".is-answer")
    assert answer.get_attribute("aria-label") == "row 2, column 3"
    shades = shown.tab.locator(".patch").evaluate_all(
        "all => all.map((e) => Number(e.style.getPropertyValue('--s')))"
    )
    assert shades.index(max(shades)) == COLUMNS + 2
    assert sorted(shades)[-2] < 0.5
    shown.tab.tap("[data-asked='1']")
    assert shown.says == "asleep matched [IMG] 0.80"
    shown.tab.tap(".patch[role=button]")
    assert shown.says == "row 2, column 3 answered cat 0.90"
    shown.tab.tap(".patch >> nth=0")
    assert shown.says.startswith("row 1, column 1 answered nothing; nearest is ")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_answered_stands_out_on_a_white_page_in_light_and_dark(show: Any, scheme: str) -> None:
    shown = show(picture_page(), color_scheme=scheme)
    shown.tab.click("[data-asked='0']")
    assert contrast(shown, ".says") >= 4.5
    assert contrast(shown, ".word.added") >= 4.5
    answer, other = shown.tab.locator(".patch.is-answer"), shown.tab.locator(".patch >> nth=0")
    painted = "e => getComputedStyle(e).backgroundColor"
    *rgb, opacity = components(answer.evaluate(painted))
    assert components(other.evaluate(painted))[3] < opacity / 2
    seen = [1 - opacity + channel * opacity for channel in rgb]
    assert 1.05 / (relative_luminance(seen) + 0.05) >= 1.5
    edge = answer.evaluate("e => getComputedStyle(e).boxShadow").split(") ")[0]
    assert 1.05 / (luminance(edge.split(", rgb")[0] + ")") + 0.05) >= 3


def test_a_picture_is_within_the_page_and_a_hostile_query_is_shown(show: Any) -> None:
    html = picture_page(query="<cat/> 'asleep\"")
    assert "img-src data:" in html
    assert html.count("src=") == 1
    shown = show(html)
    assert shown.texts(".ask span") == ["cat", "asleep"]
    assert shown.tab.title() == "<cat/> 'asleep\" · report.pdf#3"
    assert shown.tab.locator("cat").count() == 0
    assert shown.tab.locator("script").count() == 1


def test_a_picture_that_is_not_what_was_encoded_is_refused() -> None:
    tokens = [Patch(1, 1, 1, 1)]
    with pytest.raises(ColbertError, match="picture makes 1 tokens, but there are 2 vectors"):
        explanation_page(
            "cat",
            Explanation("p", 1.0, [], None),
            WordEncoder().query_tokens("cat"),
            tokens,
            np.ones((1, 2), np.float32),
            Image.new("RGB", (9, 9)),
        )


# On which device


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_well_readable_in_light_and_dark(show: Any, scheme: str) -> None:
    shown = show(page(), color_scheme=scheme)
    ink = luminance(shown.style("body", "color"))
    paper = luminance(shown.style("body", "background-color"))
    assert (paper > ink) is (scheme == "light")
    for selector in (".word[role=button]", ".says", ".ask small", ".note", "tbody th"):
        assert contrast(shown, selector) >= 4.5, selector
    shown.tab.click("[data-asked='0']")
    for selector in (".ask.is-chosen", ".ask.is-chosen small", ".word.is-answer"):
        assert contrast(shown, selector) >= 4.5, selector


def test_a_phone_scrolls_the_page_in_one_direction_only(show: Any) -> None:
    shown = show(
        page(query=" ".join(["unpronounceable"] * 30), text=TEXT * 20 + "x" * 400), **PHONE
    )
    wide = shown.tab.evaluate("document.documentElement.scrollWidth")
    assert wide <= PHONE["viewport"]["width"]  # type: ignore[index]
    assert shown.tab.locator(".scroll").evaluate("e => e.scrollWidth > e.clientWidth")
    assert shown.tab.locator(".asked").evaluate("e => e.offsetHeight") < 0.6 * 740
    box = shown.tab.locator(".ask").first.bounding_box()
    assert box["height"] >= 40


def luminance(colour: str) -> float:
    return relative_luminance(components(colour)[:3])


def relative_luminance(channels: list[float]) -> float:
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def components(colour: str) -> list[float]:
    """Red, green, blue and opacity, each from 0 to 1, of what a browser computed."""
    inside = colour[colour.index("(") + 1 : -1].replace(",", " ").replace("/", " ").split()
    numbers = [float(part) for part in inside if part != "srgb"]
    rgb = numbers[:3] if colour.startswith("color(") else [n / 255 for n in numbers[:3]]
    return [*rgb, numbers[3] if len(numbers) > 3 else 1]


def contrast(shown: Shown, selector: str) -> float:
    """The contrast of a text with what is painted behind it, as WCAG counts it."""
    layers = shown.tab.locator(selector).first.evaluate(
        "e => { const all = []; for (; e; e = e.parentElement) "
        "all.unshift(getComputedStyle(e).backgroundColor); return all; }"
    )
    behind = [1.0, 1.0, 1.0]
    for layer in layers:
        *rgb, opacity = components(layer)
        behind = [b * (1 - opacity) + c * opacity for b, c in zip(behind, rgb, strict=True)]
    lights = sorted([luminance(shown.style(selector, "color")), relative_luminance(behind)])
    return (lights[1] + 0.05) / (lights[0] + 0.05)


# What may not happen


def test_hostile_texts_are_shown_and_nothing_else(show: Any) -> None:
    shown = show(page(query=f"cat {HOSTILE}", text=HOSTILE, doc_id="<i>\"id'"))
    assert shown.tab.inner_text(".text") == HOSTILE
    assert "<i>\"id'" in shown.tab.inner_text("h1")
    assert shown.tab.title() == f"cat {HOSTILE} · <i>\"id'".replace("\n", " ")
    assert shown.tab.locator("img, .text b, i:not(.ask i)").count() == 0
    assert shown.tab.locator("script").count() == 1


def test_the_page_names_no_other_file_and_forbids_every_one() -> None:
    html = page()
    assert "default-src 'none'" in html
    for name in ("src=", "href=", "@import", "url("):
        assert name not in html


def test_a_text_longer_than_the_model_reads_ends_in_grey(show: Any) -> None:
    class Short(WordEncoder):
        def document_tokens(self, text: str) -> Any:
            return super().document_tokens(text)[:3]

    encoder = Short()
    matches = [Match(1, None, 2, None, 1.0)]
    html = explanation_page(
        "cat",
        Explanation(1, 1.0, matches, TEXT),
        encoder.query_tokens("cat"),
        encoder.document_tokens(TEXT),
        np.array([[0.1, 1.0, 0.2]], dtype=np.float32),
    )
    shown = show(html)
    assert shown.tab.inner_text(".text") == TEXT
    assert shown.texts(".cut") == [TEXT[11:]]


def test_a_text_that_is_not_what_was_encoded_is_refused() -> None:
    explained = Explanation(1, 1.0, [], "cat")
    tokens = WordEncoder().document_tokens("cat")
    with pytest.raises(ColbertError, match="1 tokens, but there are 2 vectors"):
        explanation_page("cat", explained, tokens, tokens, np.ones((1, 2), dtype=np.float32))
    with pytest.raises(ColbertError, match="no text to show"):
        explanation_page(
            "cat", explained._replace(content=None), tokens, tokens, np.ones((1, 1), np.float32)
        )
