"""Every error of the SQL core has an SQLSTATE, a hint, and a test that meets it."""

import re
from pathlib import Path

import pytest

from tests.servers import SQL

SOURCES = sorted([*(SQL / "functions").rglob("*.sql"), *(SQL / "packaging").glob("*.sql")])
DIRECTORIES = ("sql", "install", "security", "text")


def raises(text: str) -> list[str]:
    """Every RAISE EXCEPTION statement of a source, as a whole."""
    return re.findall(r"RAISE EXCEPTION (?:'(?:[^']|'')*'|[^;'])*;", text)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_raise_has_an_sqlstate_and_a_hint(source: Path) -> None:
    text = source.read_text(encoding="utf-8")
    errors = re.findall(
        r"\bRAISE\b(?! [A-Z]+ message)(?! (?:NOTICE|WARNING)\b)(?!;)", text_only(text)
    )
    assert len(raises(text)) == len(errors)
    for statement in raises(text):
        assert re.search(r"USING\s+ERRCODE = ", statement), statement
        assert "HINT = " in statement, statement


def text_only(text: str) -> str:
    """A source without its comments and what it quotes."""
    return re.sub(r"(?s)\$re\$.*?\$re\$|'(?:[^']|'')*'|--[^\n]*", "", text)


def reached(log: str) -> set[tuple[str, int]]:
    """(function, line) of every RAISE that is in a server's log."""
    found = re.findall(r"PL/pgSQL function colbert\.(\w+)\(.*\) line (\d+) at RAISE", log)
    return {(function, int(line)) for function, line in found}


def statements() -> set[tuple[str, int, str]]:
    """(function, line, statement) of every RAISE of a function, counted as PostgreSQL counts."""
    definition = re.compile(
        r"(?s)CREATE OR REPLACE (?:FUNCTION|PROCEDURE) colbert\.(\w+)\s*\("
        r"(?:(?!CREATE OR REPLACE).)*?\bAS\s+(\$\w*\$)(.*?)\2"
    )
    return {
        (name, number, line.strip())
        for source in (SQL / "functions").rglob("*.sql")
        for name, _, body in definition.findall(source.read_text(encoding="utf-8"))
        for number, line in enumerate(body.split("\n"), start=1)
        if "RAISE EXCEPTION" in line
    }


def test_every_raise_is_known() -> None:
    """The sources as text have as many as are found in the bodies of functions."""
    written = [
        line
        for source in (SQL / "functions").rglob("*.sql")
        for line in source.read_text(encoding="utf-8").split("\n")
        if "RAISE EXCEPTION" in line
    ]
    assert len(statements()) == len(written) > 0


def test_every_raise_is_reached(logs: list[str]) -> None:
    """What all other tests have met is in the logs of the servers; judging.py runs this last."""
    met = set().union(*map(reached, logs))
    not_met = [
        f"{name}: {line}" for name, number, line in statements() if (name, number) not in met
    ]
    for source in (SQL / "packaging").glob("*.sql"):
        for statement in raises(source.read_text(encoding="utf-8")):
            message = statement.split("'")[1].replace("@version@", "")
            pieces = [re.escape(piece) for piece in message.split("%")]
            if not any(re.search("ERROR:  " + ".*".join(pieces), log) for log in logs):
                not_met.append(f"{source.name}: {message}")
    assert not not_met, "no test reaches\n" + "\n".join(sorted(not_met))
