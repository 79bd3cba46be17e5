"""The code blocks of a Markdown page, in order."""

import re
from pathlib import Path
from typing import NamedTuple

_FENCED = re.compile(
    r"^```(\w+)\n(.*?)^```\n(?=\n?(```text\n(.*?)^```$)?)", re.DOTALL | re.MULTILINE
)


class Block(NamedTuple):
    """A fenced block: its language, its text, and the text block that follows at once, if any."""

    language: str
    code: str
    result: str | None
    line: int


def blocks(page: Path, language: str) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(found[1], found[2], found[4], text.count("\n", 0, found.start()) + 2)
        for found in _FENCED.finditer(text)
        if found[1] == language
    ]
