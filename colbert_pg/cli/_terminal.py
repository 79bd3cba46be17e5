"""What the command line shows: results, matches, indexes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from colbert_pg.client import Explanation, Hit, HybridHit, Match, ParentHit, TokenText
from colbert_pg.explain import snippets

# Standard output is for answers, standard error for everything else.
out = Console(highlight=False, soft_wrap=False)
err = Console(stderr=True, highlight=False)

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "red")
_CONTEXT = 24  # characters beside a matched word
# Control characters, which a terminal would obey, become spaces: offsets in a text go on holding.
_CONTROLS = {code: " " for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def results(
    hits: Sequence[Hit | HybridHit | ParentHit],
    found: Mapping[str, Explanation],
    pages: Mapping[str, tuple[str, int]] = MappingProxyType({}),
) -> RenderableType:
    """Documents, best first: score, key, and below them the passages that answer the query.

    Args:
        hits: the documents.
        found: for each key why it was found; one without text is shown by its key alone.
        pages: for each key of a page its file and number, which are shown in place of the key.
    """
    lines: list[RenderableType] = []
    for hit in hits:
        lines.append(_Passages(_heading(hit, pages), found.get(hit.doc_id)))
    return Group(*lines)


def _heading(hit: Hit | HybridHit | ParentHit, pages: Mapping[str, tuple[str, int]]) -> Text:
    name = str(hit.doc_id)
    if hit.doc_id in pages:
        file, number = pages[hit.doc_id]
        name = f"{file}, page {number}"
    if not isinstance(hit, HybridHit):
        return Text.assemble((f"{hit.score:6.2f}", "bold"), "  ", (_plain(name), "cyan"))
    ranks = ((hit.maxsim_rank, "by MaxSim"), (hit.text_rank, "by text"))
    parts = ", ".join(f"{rank}. {part}" for rank, part in ranks if rank is not None)
    return Text.assemble(
        (f"{hit.score:6.4f}", "bold"), "  ", (_plain(name), "cyan"), (f"  {parts}", "dim")
    )


def explanation(explained: Explanation) -> RenderableType:
    """Each word of the query beside its answer, and the document with the answers marked."""
    table = Table(box=None, pad_edge=False)
    rows = []
    for number, match in enumerate(explained.matches):
        colour = _COLOURS[number % len(_COLOURS)]
        rows.append(
            (
                Text(_name(match.query_token, match.query_position), style=colour),
                Text(_name(match.document_token, match.document_position), style=colour),
                Text(f"{match.similarity:.3f}"),
                _surroundings(match, explained.content, colour),
            )
        )
    for place, name in enumerate(("query", "document", "similarity")):
        width = max([len(name), *(row[place].cell_len for row in rows)])
        table.add_column(name, no_wrap=True, min_width=width)
    table.add_column("", ratio=1, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*row)
    score = Text.assemble(
        f"score {explained.score:.3f}, document ", (_plain(explained.doc_id), "cyan")
    )
    parts: list[RenderableType] = [score, "", table]
    if explained.content is not None:
        parts += ["", _marked(explained.content, explained.matches)]
    return Group(*parts)


class _Passages:
    """A line about a document, and its best passages, each in one line of the console."""

    def __init__(self, heading: Text, explained: Explanation | None) -> None:
        self.heading = heading
        self.explained = explained

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield self.heading
        if self.explained is None or self.explained.content is None:
            return
        indent = " " * 8
        width = max(options.max_width - len(indent), 20)
        for snippet in snippets(_plain(self.explained.content), self.explained.matches, width):
            line = Text(indent + snippet.text, style="dim")
            for mark in snippet.marks:
                line.stylize("not dim bold", mark.start + len(indent), mark.end + len(indent))
            line.truncate(options.max_width, overflow="ellipsis")
            yield line


def indexes(rows: Iterable[Mapping[str, Any]]) -> RenderableType:
    """One block per index, with all that the view says of it."""
    blocks: list[RenderableType] = []
    for row in rows:
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for name, value in row.items():
            if isinstance(value, Mapping):
                value = ", ".join(f"{key}: {_value(inner)}" for key, inner in value.items())
            table.add_row(name, Text(_plain(_value(value))))
        blocks += [table, ""]
    return Group(*blocks[:-1])


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("name") or dict(value))
    return "-" if value is None else f"{value:,}" if type(value) is int else str(value)


def _plain(value: Any) -> str:
    return str(value).translate(_CONTROLS)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _name(token: TokenText | None, position: int) -> str:
    return _plain(token.text) if token is not None else f"token {position}"


def _surroundings(match: Match, content: str | None, colour: str) -> Text:
    token = match.document_token
    if content is None or token is None or token.start is None or token.end is None:
        return Text("")
    content = _plain(content)
    before = _one_line(content[max(0, token.start - _CONTEXT) : token.start] + "|")[:-1]
    after = _one_line("|" + content[token.end : token.end + _CONTEXT])[1:]
    return Text.assemble(before, (content[token.start : token.end], f"bold {colour}"), after)


def _marked(content: str, matches: Sequence[Match]) -> Text:
    """The text with every matched word in the colour of the query word that it answers best."""
    text = Text(_plain(content))
    order = sorted(enumerate(matches), key=lambda numbered: numbered[1].similarity)
    for number, match in order:  # the last style of a word wins: that of the best match
        token = match.document_token
        if token is not None and token.start is not None and token.end is not None:
            colour = _COLOURS[number % len(_COLOURS)]
            text.stylize(f"bold {colour}", token.start, token.end)
    return text
