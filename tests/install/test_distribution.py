"""What is handed out: META.json for PGXN, `make install`, and the workflows that build and test."""

import json
import re
import subprocess
import tomllib
from typing import Any

import pytest
import yaml

from tests.servers import REPOSITORY, SQL

META: dict[str, Any] = json.loads((REPOSITORY / "META.json").read_text(encoding="utf-8"))
VERSION = r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"  # PGXN takes semantic versions alone
GITHUB = REPOSITORY / ".github"


def control(name: str) -> str:
    """A setting of the extension's control file."""
    text = (SQL / "colbert_pg.control").read_text(encoding="utf-8")
    (value,) = re.findall(rf"^{name} = '(.*)'$", text, re.MULTILINE)
    return str(value)


def test_pgxn_reads_the_version_and_what_the_extension_is_from_the_control_file() -> None:
    version = control("default_version")
    provided = META["provides"]["colbert_pg"]
    assert re.fullmatch(VERSION, version)
    assert META["version"] == provided["version"] == version
    assert META["abstract"] == provided["abstract"] == control("comment")
    assert control("requires") in META["prereqs"]["runtime"]["requires"]


def test_pgxn_finds_all_that_its_specification_asks_for() -> None:
    asked_for = {"abstract", "license", "maintainer", "meta-spec", "name", "provides", "version"}
    assert asked_for <= set(META)
    assert META["meta-spec"]["version"] == "1.0.0"
    assert META["license"] == "postgresql"
    assert META["name"] == "colbert_pg"
    for provided in META["provides"].values():
        assert (REPOSITORY / provided["file"]).is_file()
        assert (REPOSITORY / provided["docfile"]).is_file()


def test_pgxn_and_pypi_name_the_same_maintainer() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert META["maintainer"] == [author["name"] for author in project["authors"]]


def test_the_postgresql_that_pgxn_asks_for_is_the_one_that_installation_asks_for() -> None:
    needed = META["prereqs"]["runtime"]["requires"]
    page = (REPOSITORY / "docs" / "installation.md").read_text(encoding="utf-8")
    assert f"PostgreSQL {needed['PostgreSQL'].partition('.')[0]} or newer" in page
    assert f"{needed['vector']} or newer" in page


def test_make_install_of_the_root_is_that_of_the_sql_sources() -> None:
    # PGXN's client runs `make all` and `make install` in the root
    done = subprocess.run(
        ["make", "--dry-run", "all", "install", "PG_CONFIG=/nowhere/pg_config"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert re.search(r"make.* -C sql install", done.stdout)
    assert "/nowhere/pg_config" in done.stderr  # handed on


@pytest.mark.parametrize("path", sorted(GITHUB.rglob("*.yml")), ids=lambda path: path.name)
def test_workflows_and_templates_are_yaml_with_a_name(path: Any) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert "name" in content or path.name == "config.yml"


def test_workflows_run_the_gate_and_build_wheel_and_sdist() -> None:
    steps = {
        name: " ".join(
            step.get("run", "")
            for job in yaml.safe_load((GITHUB / "workflows" / name).read_text())["jobs"].values()
            for step in job["steps"]
        )
        for name in ("tests.yml", "packages.yml")
    }
    assert ".ci/run" in steps["tests.yml"]
    assert "python -m build" in steps["packages.yml"]
    assert (REPOSITORY / ".ci" / "run").stat().st_mode & 0o111
