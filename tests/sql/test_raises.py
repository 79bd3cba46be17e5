"""Every error of the SQL core is asked for by a test."""

import re

from tests.servers import REPOSITORY, SQL

TESTS = REPOSITORY / "tests"


def longest_fragment(message: str) -> str:
    """The longest part of a RAISE message that does not depend on values."""
    return max((part.strip(' ":') for part in message.split("%")), key=len)


def messages() -> dict[str, str]:
    """Each message of RAISE in sql/functions, and its longest fixed part."""
    found = {}
    for path in sorted((SQL / "functions").rglob("*.sql")):
        for message in re.findall(r"RAISE EXCEPTION '((?:[^']|'')*)'", path.read_text()):
            found[f"{path.name}: {message}"] = longest_fragment(message)
    return found


def test_every_message_is_expected_by_some_test() -> None:
    said = "\n".join(path.read_text() for path in sorted(TESTS.rglob("test_*.py")))
    assert len(messages()) > 20
    untested = [message for message, fragment in messages().items() if fragment not in said]
    assert untested == []
