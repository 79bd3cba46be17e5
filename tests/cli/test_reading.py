"""JSON lines as documents, and what is said of bad ones."""

from __future__ import annotations

import pytest

from colbert_pg.cli._lines import BadDocuments, Document, Lines
from tests.cli.conftest import WriteLines


def test_id_or_underscore_id_text_and_title_make_a_document(lines: WriteLines) -> None:
    path = lines(
        {"id": "a", "text": "one"},
        "",
        {"_id": 7, "title": "Two", "text": "two", "more": None},
        {"id": "c", "title": None, "text": " three "},
    )
    source = Lines(path, str(path))
    assert source.check() == 3
    assert list(source.read()) == [
        Document("a", "one"),
        Document("7", "Two\ntwo"),
        Document("c", "three"),
    ]


def test_byte_order_mark_and_windows_line_ends_are_no_matter(lines: WriteLines) -> None:
    path = lines(b'\xef\xbb\xbf{"id": "a", "text": "caf\xc3\xa9"}\r')
    assert list(Lines(path, str(path)).read()) == [Document("a", "café")]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        (b'{"id": "a", "text": "\xff"}', "not UTF-8"),
        ('{"text": "x"}', '"id"'),
        ('{"id": "", "text": "x"}', '"id"'),
        ('{"id": true, "text": "x"}', '"id"'),
        ('{"id": 1.5, "text": "x"}', '"id"'),
        ('{"id": "a"}', '"text" must be a string'),
        ('{"id": "a", "text": "x", "title": 3}', '"title"'),
        ('{"id": "a", "text": "  "}', '"text" is empty'),
        ('{"id": "a", "text": "\\u0000"}', "no PostgreSQL text"),
        ('{"id": "a\\ud800", "text": "x"}', "no PostgreSQL text"),
        ('{"id": "first", "text": "x"}', "line 1"),
    ],
)
def test_bad_line_is_named_with_its_number(
    lines: WriteLines, line: str | bytes, complaint: str
) -> None:
    path = lines({"id": "first", "text": "x"}, "", line)
    with pytest.raises(BadDocuments) as raised:
        Lines(path, str(path)).check()
    assert str(raised.value).startswith(f"{path}:3: ")
    assert complaint in str(raised.value)


def test_many_bad_lines_are_counted(lines: WriteLines) -> None:
    path = lines(*["{"] * 25)
    with pytest.raises(BadDocuments, match="and 15 more") as raised:
        Lines(path, str(path)).check()
    assert len(str(raised.value).splitlines()) == 11
