"""How a command ends: errors become a message and an exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import psycopg
import typer

from colbert_pg.cli._places import TwoDatabases
from colbert_pg.cli._terminal import err
from colbert_pg.errors import ColbertError


@contextmanager
def reporting() -> Iterator[None]:
    """Turn errors into a message and an exit code."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except TwoDatabases as error:
        raise typer.BadParameter(str(error)) from error
    except BrokenPipeError:
        raise  # whoever reads has seen enough
    except psycopg.Error as error:
        fail(database_message(error))
    except (ColbertError, ImportError, OSError, ValueError) as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    err.print(f"Error: {message}", style="red", markup=False)
    raise typer.Exit(1)


def database_message(error: psycopg.Error) -> str:
    """What the server said, without the position in a statement that the user never wrote."""
    diagnostics = error.diag
    if diagnostics.message_primary is None:
        return str(error)
    parts = (diagnostics.message_primary, diagnostics.message_detail, diagnostics.message_hint)
    return "\n".join(part for part in parts if part)


def terminated(number: int, _: object) -> NoReturn:
    raise SystemExit(128 + number)


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))
