"""Pictures through models of two families, beside what sentence-transformers makes of them."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from sentence_transformers import MultiVectorEncoder

from colbert_pg.encoder import Encoder
from colbert_pg.encoding import Patch
from colbert_pg.encoding._patches import patches
from colbert_pg.errors import BadPicture
from tests.pictures import save_colmodernvbert, save_colpali, save_colqwen2, save_gemma3

Image = pytest.importorskip("PIL.Image")

FAMILIES: dict[str, Callable[[Path, int], None]] = {
    "colpali": save_colpali,
    "colqwen2": save_colqwen2,
}


@pytest.fixture(
    scope="module",
    params=[("colpali", 128), ("colqwen2", 128), ("colpali", 320), ("colqwen2", 640)],
    ids=lambda param: f"{param[0]}-{param[1]}",
)
def page_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    family, dimensions = request.param
    path = tmp_path_factory.mktemp(family)
    FAMILIES[family](path, dimensions)
    return path


@pytest.fixture(scope="module")
def colpali(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    path = tmp_path_factory.mktemp("colpali")
    save_colpali(path)
    return Encoder(path, device="cpu")


def picture(seed: int, width: int = 50, height: int = 40) -> Any:
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def png(image: Any) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_pictures_and_queries_get_the_vectors_of_sentence_transformers(page_model: Path) -> None:
    pictures = [picture(0), picture(1, 60, 64), picture(2, 16, 24)]
    queries = ["a cat", "the dog . a cat"]
    theirs = MultiVectorEncoder(str(page_model), device="cpu")
    ours = Encoder(page_model, device="cpu", batch_size=2)
    expected = [
        *theirs.encode_document(pictures, batch_size=1),
        *theirs.encode_query(queries, batch_size=1),
    ]
    found = [*ours.encode_pictures(pictures), *ours.encode_queries(queries)]
    assert ours.takes_pictures
    for matrix, their in zip(found, expected, strict=True):
        assert matrix.shape == tuple(their.shape)
        assert matrix.shape[1] == ours.dimensions
        np.testing.assert_allclose(matrix, their.cpu().numpy(), atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1, atol=1e-5)
    assert not np.allclose(found[0][:10], found[1][:10], atol=1e-3)


def test_a_picture_is_the_same_as_path_bytes_and_image(colpali: Encoder, tmp_path: Path) -> None:
    image = picture(3)
    path = tmp_path / "page.png"
    path.write_bytes(png(image))
    forms = colpali.encode_pictures([image, png(image), path, str(path)])
    for matrix in forms[1:]:
        np.testing.assert_allclose(matrix, forms[0], atol=1e-5)


def test_transparency_is_white_and_a_turned_photograph_upright(colpali: Encoder) -> None:
    clear = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    image = picture(4)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    file = BytesIO()
    image.transpose(Image.Transpose.ROTATE_90).save(file, "PNG", exif=exif)
    shown, white, turned, upright = colpali.encode_pictures(
        [clear, Image.new("RGB", (40, 40), "white"), file.getvalue(), image]
    )
    np.testing.assert_allclose(shown, white, atol=1e-5)
    np.testing.assert_allclose(turned, upright, atol=1e-5)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (picture(0, 1, 1), "1 x 1 pixels: less than 8 on a side"),
        (png(Image.new("1", (10_000, 10_000))), "10000 x 10000 pixels: more than 50,000,000"),
        (png(Image.new("1", (20_000, 20_000))), "more than 50,000,000 pixels"),
        (png(picture(0))[:200], "not a picture that can be read"),
        (b"no picture", "not a picture that can be read"),
        ("/nowhere/page.png", "not a picture that can be read"),
    ],
    ids=["one pixel", "100 megapixels", "400 megapixels", "cut off", "text", "no file"],
)
def test_what_is_no_picture_to_encode_is_refused(colpali: Encoder, bad: Any, said: str) -> None:
    with pytest.raises(BadPicture, match=said):
        colpali.encode_pictures([bad])


def test_a_tiff_of_several_pages_is_refused(colpali: Encoder) -> None:
    file = BytesIO()
    picture(0).save(file, "TIFF", save_all=True, append_images=[picture(1)])
    with pytest.raises(BadPicture, match="a TIFF of several pages"):
        colpali.encode_pictures([file.getvalue()])


def test_what_is_no_list_of_pictures_is_refused(colpali: Encoder) -> None:
    with pytest.raises(TypeError, match="a list of pictures"):
        colpali.encode_pictures("page.png")
    with pytest.raises(TypeError, match="int is neither a path"):
        colpali.encode_pictures(cast(Any, [7]))


def test_a_model_whose_processor_adds_nothing_to_queries_is_refused(tmp_path: Path) -> None:
    save_colmodernvbert(tmp_path)
    with pytest.raises(ValueError, match="ColModernVBertProcessor adds no prompt"):
        Encoder(tmp_path, device="cpu")


def test_a_model_of_texts_takes_no_pictures(stanford_checkpoint: Path) -> None:
    encoder = Encoder(stanford_checkpoint, device="cpu")
    assert not encoder.takes_pictures
    with pytest.raises(ValueError, match="takes no pictures"):
        encoder.encode_pictures([picture(0)])


def test_each_vector_of_a_picture_has_its_patch_or_a_token_of_the_model(page_model: Path) -> None:
    encoder = Encoder(page_model, device="cpu")
    for size in ((50, 40), (16, 60), (64, 64)):
        shown = picture(0, *size)
        tokens = encoder.picture_tokens(shown)
        (vectors,) = encoder.encode_pictures([shown])
        assert len(tokens) == len(vectors)
        patches = [token for token in tokens if isinstance(token, Patch)]
        rows, columns = patches[0].rows, patches[0].columns
        places = [(patch.row, patch.column) for patch in patches]
        assert places == [(r + 1, c + 1) for r in range(rows) for c in range(columns)]
        assert {token.text for token in tokens if token not in patches} >= {"Describe", "image"}


def test_the_vector_of_the_patch_that_is_painted_over_changes_most(page_model: Path) -> None:
    encoder = Encoder(page_model, device="cpu")
    plain = Image.new("RGB", (64, 32), "white")
    (before,) = encoder.encode_pictures([plain])
    tokens = encoder.picture_tokens(plain)
    for patch in [token for token in tokens if isinstance(token, Patch)]:
        width, height = 64 // patch.columns, 32 // patch.rows
        changed = plain.copy()
        left, top = (patch.column - 1) * width, (patch.row - 1) * height
        changed.paste("black", (left, top, left + width, top + height))
        (after,) = encoder.encode_pictures([changed])
        assert tokens[int(np.linalg.norm(after - before, axis=1).argmax())] == patch


def test_words_of_a_query_are_found_among_those_that_the_processor_adds(page_model: Path) -> None:
    encoder = Encoder(page_model, device="cpu")
    tokens = encoder.query_tokens("the dog : a bird")
    (vectors,) = encoder.encode_queries(["the dog : a bird"])
    assert len(tokens) == len(vectors)
    placed = [(token.text, token.start, token.end) for token in tokens if token.start is not None]
    assert placed == [("the", 0, 3), ("dog", 4, 7), (":", 8, 9), ("a", 10, 11), ("bird", 12, 16)]


def test_pooled_vectors_of_pictures_have_no_patches(page_model: Path) -> None:
    with pytest.raises(ValueError, match="pooled vectors stand for several"):
        Encoder(page_model, device="cpu", pool_factor=2).picture_tokens(picture(0))


def test_a_model_of_pictures_takes_no_texts_as_documents(page_model: Path) -> None:
    encoder = Encoder(page_model, device="cpu")
    assert not encoder.takes_texts
    for texts in (["a cat"], []):
        with pytest.raises(ValueError, match="takes pictures alone as documents"):
            encoder.encode_documents(texts)


def test_a_model_of_texts_and_pictures_takes_both_and_tells_what_vectors_stand_for(
    tmp_path: Path,
) -> None:
    save_gemma3(tmp_path)
    encoder = Encoder(tmp_path, device="cpu")
    assert encoder.takes_pictures
    assert encoder.takes_texts
    shown = encoder.picture_tokens(picture(0))
    (of_picture,), (of_text,) = (
        encoder.encode_pictures([picture(0)]),
        encoder.encode_documents(["the dog : a bird"]),
    )
    assert len(shown) == len(of_picture)
    patches = [token for token in shown if isinstance(token, Patch)]
    assert patches == [Patch(r, c, 2, 2) for r in (1, 2) for c in (1, 2)]
    tokens = encoder.document_tokens("the dog : a bird")
    assert len(tokens) == len(of_text)
    placed = [(token.text, token.start) for token in tokens if token.start is not None]
    assert placed == [("the", 0), ("dog", 4), (":", 8), ("a", 10), ("bird", 12)]


def test_vectors_that_are_no_single_grid_have_no_patches(colpali: Encoder) -> None:
    processor = cast(Any, colpali)._model.processor
    one = np.zeros((1, 3, 32, 32))
    assert len(patches({"pixel_values": one}, 16, processor)) == 16
    for pixels, count in ((one, 15), (one, 0), (one[None], 16)):  # the last: tiles of a picture
        with pytest.raises(ValueError, match="does not tell which part of a picture"):
            patches({"pixel_values": pixels}, count, processor)
