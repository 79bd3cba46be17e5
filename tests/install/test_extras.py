"""Each extra alone, where nothing else is; and what a message says when a part is missing.

``encode`` and ``default-model`` bring PyTorch: they share the environment of the tests, which has
them. ``embedded`` is what test_wheel.py installs. ``langchain`` and ``haystack`` take too long to
install: tests/frameworks/test_retrievers.py tries them in the environment of the tests.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from colbert_pg import _extras
from tests.servers import REPOSITORY, run

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# What each extra is for, tried where nothing else is.
USES = {
    "cli": "from colbert_pg.cli import main; main()",
    "pages": (
        "from PIL import Image; from pypdfium2 import PdfDocument; PdfDocument.new();"
        "from colbert_pg.encoding import open_picture; open_picture(Image.new('L', (9, 9)))"
    ),
    "sqlalchemy": "from colbert_pg.sqlalchemy import hybrid_search, maxsim, search",
    "alembic": "import colbert_pg.alembic, colbert_pg.sqlalchemy",
    "django": (
        "from django.conf import settings; import django;"
        "settings.configure(INSTALLED_APPS=['colbert_pg.django']); django.setup();"
        "from colbert_pg.django import LateInteractionIndex, LateInteractionManager"
    ),
}
WITH_TORCH = {"encode", "default-model"}
ELSEWHERE = {"embedded", "haystack", "langchain", "all", "bench", "docs", "test", "lint"}


def test_every_extra_is_tried_somewhere() -> None:
    assert set(PROJECT["optional-dependencies"]) == set(USES) | WITH_TORCH | ELSEWHERE


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "build", "--wheel", "--outdir", str(directory), str(REPOSITORY)])
    (found,) = directory.glob("*.whl")
    return found


def alone(packages: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run code with the standard library and these packages, and nothing else."""
    start = (
        f"import sys; sys.argv = ['colbert-pg', '--version']; sys.path.append({str(packages)!r})"
    )
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"{start}\n{code}"], capture_output=True, text=True
    )


@pytest.mark.parametrize("extra", USES)
def test_an_extra_brings_what_its_part_needs(wheel: Path, tmp_path: Path, extra: str) -> None:
    wanted = [f"{wheel}[{extra}]", "psycopg[binary]"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--target", str(tmp_path), *wanted])
    done = alone(tmp_path, USES[extra])
    assert done.returncode == 0, done.stderr
    if extra == "cli":
        assert done.stdout.split()[-1] == metadata.version("colbert_pg")
    assert "torch" not in {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("extra", sorted(WITH_TORCH))
def test_extras_with_pytorch_are_satisfied_by_what_the_tests_have(extra: str) -> None:
    for requirement in PROJECT["optional-dependencies"][extra]:
        name, least = re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement).groups()  # type: ignore[union-attr]
        found = [int(part) for part in re.findall(r"\d+", metadata.version(name))]
        assert found >= [int(part) for part in least.split(".")]


# Messages


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        ("{}", "pip install 'colbert_pg[cli]'"),
        (None, "pip install 'colbert_pg[cli]'"),
        (
            json.dumps({"url": REPOSITORY.as_uri(), "dir_info": {"editable": True}}),
            f"pip install '{REPOSITORY}[cli]'",
        ),
        (json.dumps({"url": "file:///nowhere/to/be/found"}), "pip install 'colbert_pg[cli]'"),
        (
            json.dumps({"url": "https://x/y", "vcs_info": {"vcs": "git", "commit_id": "abc"}}),
            "pip install 'colbert_pg[cli] @ git+https://x/y@abc'",
        ),
    ],
)
def test_a_message_names_what_can_be_installed_as_things_are(
    monkeypatch: pytest.MonkeyPatch, origin: str | None, command: str
) -> None:
    class Installed:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return origin

    monkeypatch.setattr(_extras, "distribution", lambda _: Installed())
    assert _extras.pip_install("cli") == command


def test_the_binary_driver_is_named_where_libpq_is_missing() -> None:
    code = (
        "import ctypes.util, sys; ctypes.util.find_library = lambda name: None\n"
        "sys.modules['psycopg_binary'] = sys.modules['psycopg_c'] = None\n"
    )
    for use in ("import colbert_pg; colbert_pg.Client", "from colbert_pg.cli import main; main()"):
        done = subprocess.run([sys.executable, "-c", code + use], capture_output=True, text=True)
        assert done.returncode == 1
        said = done.stderr.splitlines()[-1]
        assert "psycopg finds no libpq" in said
        assert "pip install 'psycopg[binary]'" in said
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['psycopg'] = None\nimport colbert_pg.client",
        ],
        capture_output=True,
        text=True,
    )
    assert "libpq" not in done.stderr
