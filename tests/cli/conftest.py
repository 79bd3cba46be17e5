"""The command line in this process, with the default model loaded once, and as a process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from colbert_pg.cli import app
from colbert_pg.encoder import Encoder
from tests.programs import StartProgram, programs
from tests.servers import private_directory

Run = Callable[..., Any]  # returns the Result of click's or typer's runner
Start = StartProgram
WriteLines = Callable[..., Path]


@lru_cache
def default_encoder(dimensions: int = 128, **options: Any) -> Encoder:
    """The default model, loaded once; short texts gain nothing from several threads."""
    torch.set_num_threads(1)
    return _load_default(dimensions, **options)


_load_default = Encoder.default


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `colbert-pg …` in this process; the default model is loaded once a session."""
    monkeypatch.setattr(Encoder, "default", default_encoder)
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("COLBERT_PG_URL", "COLBERT_PG_DATA"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, code: int = 0, stdin: bytes | None = None) -> Any:
        result = CliRunner().invoke(app, arguments, input=stdin)
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def start() -> Iterator[StartProgram]:
    """Start `colbert-pg …` as a process of its own."""
    with programs("colbert_pg.cli") as start:
        yield start


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory for the embedded server."""
    with private_directory() as directory:
        yield directory / "data"


@pytest.fixture
def lines(tmp_path: Path) -> WriteLines:
    """Write a JSON lines file of objects, or of lines as they are."""

    def write(*entries: Mapping[str, Any] | str | bytes, name: str = "documents.jsonl") -> Path:
        path = tmp_path / name
        with path.open("wb") as file:
            for entry in entries:
                line = json.dumps(entry) if isinstance(entry, Mapping) else entry
                file.write((line.encode() if isinstance(line, str) else line) + b"\n")
        return path

    return write
