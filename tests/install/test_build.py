"""sql/build.py: the rules of sql/README.md, and that sql/dist is what the sources give."""

import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.servers import REPOSITORY, SQL


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A small copy of sql/ to spoil: the ledger, one function."""
    small = tmp_path / "sql"
    shutil.copytree(SQL / "packaging", small / "packaging")
    for file in ("build.py", "colbert_pg.control", "schema/0000_ledger.sql"):
        (small / file).parent.mkdir(exist_ok=True)
        shutil.copy(SQL / file, small / file)
    (small / "functions").mkdir()
    (small / "functions" / "version.sql").write_text("SELECT '@version@';\n", encoding="utf-8")
    (small / "functions" / "ORDER.txt").write_text("# all\nversion.sql\n", encoding="utf-8")
    return small


def build(sources: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, sources / "build.py", *arguments], capture_output=True, text=True
    )


def version(sources: Path) -> str:
    control = (sources / "colbert_pg.control").read_text(encoding="utf-8")
    found = re.search("default_version = '(.*)'", control)
    assert found
    return found[1]


def test_committed_files_are_what_the_sources_give() -> None:
    done = build(SQL, "--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_check_names_what_is_stale_and_a_build_mends_it(sources: Path) -> None:
    with (sources / "functions" / "version.sql").open("a", encoding="utf-8") as file:
        file.write("-- another\n")
    stale = build(sources, "--check")
    assert stale.returncode == 1
    assert "install.sql" in stale.stderr
    assert build(sources).returncode == 0
    assert build(sources, "--check").returncode == 0


@pytest.fixture
def released_sources(sources: Path) -> Path:
    """Those sources, with their first release as it was."""
    shutil.copytree(SQL / "released" / "0.1.0", sources / "released" / "0.1.0")
    for step in ("0001_index.sql", "0002_scope.sql"):
        shutil.copy(SQL / "schema" / step, sources / "schema" / step)
    return sources


def test_each_release_has_an_upgrade_script(released_sources: Path) -> None:
    assert build(released_sources).returncode == 0
    built = {path.name for path in (released_sources / "dist").iterdir()}
    new = version(released_sources)
    assert built == {"install.sql", f"colbert_pg--{new}.sql", f"colbert_pg--0.1.0--{new}.sql"}


@pytest.mark.parametrize(
    "file",
    ["schema/0001_index.sql", "released/0.1.0/install.sql", "released/0.1.0/colbert_pg--0.1.0.sql"],
)
def test_what_was_released_never_changes(file: str, released_sources: Path) -> None:
    with (released_sources / file).open("a", encoding="utf-8") as changed:
        changed.write("-- another\n")
    for complaint in (build(released_sources), build(released_sources, "--check")):
        assert complaint.returncode == 1
        assert f"{file}: gone or changed since 0.1.0" in complaint.stderr
    (released_sources / file).unlink()
    assert f"{file}: gone or changed" in build(released_sources).stderr


def test_sums_of_releases_are_those_that_were_published() -> None:
    """The sums themselves are frozen here: a release cannot be changed together with its sums."""
    sums = {
        folder.name: hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()
        for folder in (SQL / "released").iterdir()
    }
    assert sums == {
        "0.1.0": "16665dbb9470302ecc4583dfdf9b6c03ffa985f0200794675e87ff2b5646ee9f",
        "0.2.0": "e22b71d8291039bb1d4273842250a680edb0020a8884d6e1c5abf0bf79f0764d",
    }


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("functions/another.sql", "SELECT 1;\n", "there but not listed: another.sql"),
        ("functions/ORDER.txt", "version.sql\nversion.sql\n", "listed twice: version.sql"),
        ("functions/ORDER.txt", "version.sql\nnone.sql\n", "listed but not there: none.sql"),
        ("schema/another.sql", "-- 0.1.0: another\n", "NNNN_name.sql"),
        ("schema/9999_another.sql", "CREATE TABLE t ();\n", "the first line must read"),
        ("schema/9999_another.sql", "-- 0.1.0: another\nDO $step$$step$;\n", "$step$"),
        ("functions/version.sql", "\\echo psql alone\n", "psql commands"),
        ("functions/version.sql", "-- no newline", "end with a newline"),
        ("colbert_pg.control", "default_version = '1'\n", "N.N.N"),
    ],
)
def test_broken_rule_is_named(file: str, text: str, complaint: str, sources: Path) -> None:
    (sources / file).write_text(text, encoding="utf-8")
    done = build(sources)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_version_has_one_home() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["hatch"]["version"]["path"] == "sql/colbert_pg.control"
