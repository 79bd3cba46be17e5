"""The command line: ``colbert-pg --help``.

Answers go to standard output, everything else to standard error. Exit codes: 0, 1 for an error, 2
for a wrong command line, 130 after Ctrl-C.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from colbert_pg._extras import explained, pip_install

if TYPE_CHECKING:
    from colbert_pg.cli._commands import app

__all__ = ["app", "main"]

_EXTRA = ("rich", "typer")  # what the extra brings


def main() -> None:
    """The program ``colbert-pg``."""
    try:
        from colbert_pg.cli._commands import run
    except ImportError as error:
        if error.name in _EXTRA:
            sys.exit(f"colbert-pg needs more than the library: {pip_install('cli')}")
        told = explained(error)
        if told is error:
            raise
        sys.exit(str(told))
    run()


def __getattr__(name: str) -> Any:
    if name == "app":
        from colbert_pg.cli import _commands

        return _commands.app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
