"""Every error of the SQL core has an SQLSTATE, a hint, and a test that meets it."""

import re
from pathlib import Path

import psycopg
import pytest

from tests.servers import SQL, Server
from tests.sql.documents import run

SOURCES = sorted([*(SQL / "functions").rglob("*.sql"), *(SQL / "packaging").glob("*.sql")])
DIRECTORIES = ("sql", "install", "security", "text")
SUITE = Path(__file__).resolve().parent.parent


def raises(text: str) -> list[str]:
    """Every RAISE EXCEPTION statement of a source, as a whole."""
    return re.findall(r"RAISE EXCEPTION (?:'(?:[^']|'')*'|[^;'])*;", text)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_raise_has_an_sqlstate_and_a_hint(source: Path) -> None:
    text = source.read_text(encoding="utf-8")
    errors = re.findall(r"\bRAISE\b(?! [A-Z]+ message)(?! (?:NOTICE|WARNING)\b)", text_only(text))
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


def test_every_raise_is_reached(
    connection: psycopg.Connection, server: Server, request: pytest.FixtureRequest
) -> None:
    """The last of all tests: what those before it have met is in the server's log."""
    collected = {item.path for item in request.session.items}
    needed = {p for d in DIRECTORIES for p in (SUITE / d).glob("test_*.py")}
    if server.log is None or request.config.option.keyword or not needed <= collected:
        pytest.skip("takes all tests, and the log of a server of our own")
    log = server.log.read_text(encoding="utf-8", errors="replace")
    met = reached(log)
    functions = run(
        connection,
        "SELECT p.proname::text, p.prosrc FROM pg_proc p "
        "WHERE p.pronamespace = 'colbert'::regnamespace",
    )
    not_met = [
        f"{name}: {line.strip()}"
        for name, body in functions
        for number, line in enumerate(body.split("\n"), start=1)
        if "RAISE EXCEPTION" in line and (name, number) not in met
    ]
    for source in (SQL / "packaging").glob("*.sql"):
        for statement in raises(source.read_text(encoding="utf-8")):
            message = statement.split("'")[1].replace("@version@", "")
            pieces = [re.escape(piece) for piece in message.split("%")]
            if not re.search("ERROR:  " + ".*".join(pieces), log):
                not_met.append(f"{source.name}: {message}")
    assert not_met == []
