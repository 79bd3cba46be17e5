"""The fingerprint is the same for the same model anywhere, and another for another model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colbert_pg.encoder import Encoder


def fingerprint(model: Path, **options: Any) -> dict[str, Any]:
    return Encoder(model, device="cpu", **options).fingerprint


def test_a_copy_elsewhere_has_the_same_fingerprint(
    stanford_checkpoint: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(stanford_checkpoint, tmp_path / "another name")
    (copy / "README.md").write_text("notes")
    assert fingerprint(copy) == fingerprint(stanford_checkpoint, batch_size=7)


def test_other_weights_have_another_fingerprint(stanford_checkpoint: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(stanford_checkpoint, tmp_path / "copy")
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert fingerprint(copy) != fingerprint(stanford_checkpoint)


@pytest.mark.parametrize(
    "options",
    [
        {"dimensions": 4},
        {"projection": np.eye(8)[:, ::-1]},
        {"pool_factor": 2},
        {"hidden_states": True},
        {"prompts": {"query": "other: "}},
    ],
    ids=lambda options: next(iter(options)),
)
def test_options_that_change_vectors_change_the_fingerprint(
    stanford_checkpoint: Path, options: dict[str, Any]
) -> None:
    assert fingerprint(stanford_checkpoint, **options) != fingerprint(stanford_checkpoint)


def test_the_default_is_known_by_its_name_and_survives_json(default_encoder: Encoder) -> None:
    known = default_encoder.fingerprint
    assert known["name"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert known["dimensions"] == 128
    assert known["projection"].startswith("sha256:")
    assert "/site-packages" not in json.dumps(known)
    assert json.loads(json.dumps(known)) == known
