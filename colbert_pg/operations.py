"""``offsets`` under its public name; it is written in :mod:`colbert_pg.encoding`."""

from __future__ import annotations

from colbert_pg.encoding import offsets

__all__ = ["offsets"]
