"""compose.yaml, as far as it can be checked without an engine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from colbert_pg.cli import app
from tests.servers import REPOSITORY, run

COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]


def test_a_service_waits_for_one_that_is_there() -> None:
    assert set(SERVICES) == {"db", "install", "worker"}
    assert "healthcheck" in SERVICES["db"]
    for service in SERVICES.values():
        for name, condition in service.get("depends_on", {}).items():
            healthy = condition["condition"] == "service_healthy"
            assert healthy == ("healthcheck" in SERVICES[name])
        for volume in service.get("volumes", ()):
            assert volume.partition(":")[0] in COMPOSE["volumes"]


@pytest.mark.parametrize("name", ["install", "worker"])
def test_commands_are_those_of_the_program(name: str) -> None:
    command, *arguments = SERVICES[name]["command"]
    known: Any = typer.main.get_command(app)
    known.commands[command].make_context(command, arguments)
    assert SERVICES[name]["environment"]["COLBERT_PG_URL"].endswith("@db/documents")
    assert SERVICES["db"]["environment"]["POSTGRES_DB"] == "documents"


def test_the_image_is_built_from_what_is_let_in(tmp_path: Path) -> None:
    dockerfile = SERVICES["worker"]["build"]["dockerfile_inline"]
    (extras,) = re.findall(r"'\.\[(.+?)\]'", dockerfile)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    let_in = [line[1:] for line in lines if line.startswith("!")]
    tracked = subprocess.run(
        ["git", "ls-files", *let_in], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    for name in tracked.stdout.splitlines():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, tmp_path / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    run([*build, str(tmp_path / "wheels"), str(tmp_path)])
    assert list((tmp_path / "wheels").glob("colbert_pg-*.whl"))
