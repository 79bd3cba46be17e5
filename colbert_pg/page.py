"""``explanation_page`` under its public name; it is written in :mod:`colbert_pg.explain`."""

from __future__ import annotations

from colbert_pg.explain import explanation_page

__all__ = ["explanation_page"]
