"""``QueryCache`` under its public name; it is written in :mod:`colbert_pg.encoding`."""

from __future__ import annotations

from colbert_pg.encoding import QueryCache

__all__ = ["QueryCache"]
