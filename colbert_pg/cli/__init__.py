"""The command line: ``colbert-pg --help``.

Answers go to standard output, everything else to standard error. Exit codes: 0, 1 for an error, 2
for a wrong command line, 130 after Ctrl-C.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colbert_pg.cli._commands import app

__all__ = ["app", "main"]

_EXTRA = ("rich", "typer")  # what the extra brings


def main() -> None:
    """The program ``colbert-pg``."""
    try:
        from colbert_pg.cli._commands import run
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        sys.exit("colbert-pg needs more than the library: pip install 'colbert_pg[cli]'")
    run()


def __getattr__(name: str) -> Any:
    if name == "app":
        from colbert_pg.cli import _commands

        return _commands.app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
