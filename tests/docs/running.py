"""Run the code blocks of a Markdown page, in order, as a reader would."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psycopg

from tests.docs.blocks import Block, blocks
from tests.servers import REPOSITORY, psql

_MARKER = "-- next block --"


def pages() -> list[Path]:
    """Every page that a visitor reads."""
    return [
        *sorted(REPOSITORY.glob("*.md")),
        *sorted((REPOSITORY / "docs").glob("*.md")),
        REPOSITORY / "benchmarks" / "README.md",
        REPOSITORY / "sql" / "README.md",
    ]


def printed(page: Path, conninfo: str, directory: Path, shown: Sequence[Block]) -> list[str]:
    """What psql prints for each of these SQL blocks, run in one session."""
    script = directory / f"{page.stem}.sql"
    script.write_text(
        "\\pset footer off\n" + "".join(f"{b.code}\\echo '{_MARKER}'\n" for b in shown),
        encoding="utf-8",
    )
    done = psql(conninfo, "-v", "ON_ERROR_STOP=1", "-f", str(script))
    ended = done.stdout.count(_MARKER)
    assert done.returncode == 0, f"the block in line {shown[ended].line} fails:\n{done.stderr}"
    return done.stdout.split(f"{_MARKER}\n")


def differences(shown: Sequence[Block], outputs: Sequence[str]) -> dict[int, tuple[str, str]]:
    """By line, what a page says that a block prints, and what it prints, where they differ."""
    pairs = {
        block.line: (trimmed(block.result), trimmed(output))
        for block, output in zip(shown, outputs, strict=False)
        if block.result is not None
    }
    return {line: pair for line, pair in pairs.items() if pair[0] != pair[1]}


def run_python(page: Path) -> None:
    """Run the Python blocks of a page in one namespace."""
    names: dict[str, object] = {"__name__": page.stem}
    try:
        for block in blocks(page, "python"):
            exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), names)
    finally:
        connection = names.get("connection")
        if isinstance(connection, psycopg.Connection):
            connection.close()


def trimmed(text: str) -> str:
    """A table that psql prints, without spaces at the ends of lines."""
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
