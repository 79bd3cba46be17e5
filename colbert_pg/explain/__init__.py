"""Why a document was found: words put together from tokens, passages, a page for the browser."""

from __future__ import annotations

from colbert_pg.explain._page import explanation_page
from colbert_pg.explain._snippets import Mark, Snippet, snippets
from colbert_pg.explain._words import Word, words

__all__ = ["Mark", "Snippet", "Word", "explanation_page", "snippets", "words"]
