"""docs/promises.md: every link leads to a file, and every proof to a test that exists."""

import ast
import re

from tests.servers import REPOSITORY

PAGE = REPOSITORY / "docs" / "promises.md"
LINKS = re.findall(r"\]\((\.\./[^)#]+)(?:#(\w+))?\)", PAGE.read_text(encoding="utf-8"))


def names_in(path: str) -> set[str]:
    tree = ast.parse((PAGE.parent / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_proof_is_a_test_that_exists() -> None:
    proofs = [(path, name) for path, name in LINKS if path.endswith(".py")]
    assert len(proofs) > 40
    missing = [f"{path}#{name}" for path, name in proofs if name not in names_in(path)]
    assert missing == []


def test_every_link_leads_to_a_file() -> None:
    assert [path for path, _ in LINKS if not (PAGE.parent / path).is_file()] == []


def test_every_promise_has_a_proof() -> None:
    rows = re.findall(
        r"^\| (?!promise|---)(.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    unproved = [row for row in rows if "](../tests/" not in row]
    assert rows
    assert unproved == []
