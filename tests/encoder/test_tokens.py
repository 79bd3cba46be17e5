"""Which token, and which characters of the text, a vector stands for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import MultiVectorEncoder

from colbert_pg.encoder import Encoder, Token

TEXT = "The dog ran,  unhappily: under a tree!"


@pytest.mark.filterwarnings("ignore::colbert_pg.encoder.TruncationWarning")
@pytest.mark.parametrize("text", ["Cat", TEXT, TEXT * 3, "!", "zebra"])
@pytest.mark.parametrize("task", ["query", "document"])
def test_tokens_are_those_of_the_vectors_row_for_row(
    checkpoint: Path, text: str, task: str
) -> None:
    encoder = Encoder(checkpoint, device="cpu")
    library = MultiVectorEncoder(str(checkpoint), device="cpu")
    if task == "query":
        tokens, (vectors,) = encoder.query_tokens(text), encoder.encode_queries([text])
        raw = library.encode_query(text, output_value=None)
    else:
        tokens, (vectors,) = encoder.document_tokens(text), encoder.encode_documents([text])
        raw = library.encode_document(text, output_value=None)
    scored = raw["attention_mask"].bool()
    np.testing.assert_allclose(raw["token_embeddings"][scored].cpu().numpy(), vectors, atol=1e-6)
    names = library.tokenizer.convert_ids_to_tokens(raw["input_ids"][scored])
    assert len(tokens) == len(names) == len(vectors)
    for token, name in zip(tokens, names, strict=True):
        if token.start is None:
            assert token == Token(name, None, None)
        else:
            assert token.text == text[token.start : token.end]
            assert name in ("[UNK]", token.text.lower(), f"##{token.text.lower()}")


def test_markers_and_expansion_have_no_offsets(stanford_checkpoint: Path) -> None:
    tokens = Encoder(stanford_checkpoint, device="cpu").query_tokens("A cat")
    assert tokens == [
        Token("[CLS]", None, None),
        Token("[unused0]", None, None),
        Token("A", 0, 1),
        Token("cat", 2, 5),
        Token("[SEP]", None, None),
        *[Token("[MASK]", None, None)] * 7,
    ]


def test_skipped_tokens_are_left_out_and_later_offsets_stay_right(pylate_checkpoint: Path) -> None:
    tokens = Encoder(pylate_checkpoint, device="cpu").document_tokens("dog, cat. mat?")
    assert [token for token in tokens if token.start is not None] == [
        Token("dog", 0, 3),
        Token("cat", 5, 8),
        Token("mat", 10, 13),
        Token("?", 13, 14),
    ]
    assert tokens[1] == Token("[D] ", None, None)


def test_a_prompt_in_plain_words_is_no_part_of_the_text(native_checkpoint: Path) -> None:
    tokens = Encoder(native_checkpoint, device="cpu").query_tokens("file")
    assert [token for token in tokens if token.start is not None] == [Token("file", 0, 4)]
    assert "read" in [token.text for token in tokens if token.start is None]


def test_characters_that_the_tokenizer_rewrites_keep_their_offsets(
    default_encoder: Encoder,
) -> None:
    text = "Ünïcode 💡 naïve"
    tokens = default_encoder.document_tokens(text)
    pieces = [text[token.start : token.end] for token in tokens if token.start is not None]
    assert "".join(pieces) == text.replace(" ", "")
    assert len(tokens) == len(default_encoder.encode_documents([text])[0])


def test_tokens_of_a_long_document_end_where_it_is_truncated(default_encoder: Encoder) -> None:
    tokens = default_encoder.document_tokens("word " * 300)
    assert len(tokens) == 256
    assert tokens[-2:] == [Token("word", 253 * 5, 253 * 5 + 4), Token("[SEP]", None, None)]
