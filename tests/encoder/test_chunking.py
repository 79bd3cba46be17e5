"""Long texts in chunks that the model reads whole."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colbert_pg.encoder import Encoder, TruncationWarning
from colbert_pg.encoding._chunking import Piece, chunks, pieces

TEXT = " ".join(f"Sentence number {n} is unbelievably tokenized, isn't it?" for n in range(60))


@given(
    sizes=st.lists(st.integers(1, 5), max_size=60),
    tokens=st.integers(5, 20),
    overlap=st.integers(0, 19),
)
def test_chunks_fit_cover_everything_overlap_and_are_few(
    sizes: list[int], tokens: int, overlap: int
) -> None:
    overlap = min(overlap, tokens - 1)
    parts = [Piece(10 * n, 10 * n + 9, size) for n, size in enumerate(sizes)]
    text = "x" * (10 * len(parts))
    held = [range(c.start // 10, c.end // 10 + 1) for c in chunks(text, parts, tokens, overlap)]
    assert sorted({n for r in held for n in r}) == list(range(len(parts)))
    assert all(sum(sizes[n] for n in r) <= tokens for r in held)
    for one, other in itertools.pairwise(held):
        assert one.start < other.start
        assert one.stop < other.stop  # every chunk has something new
        shared = sum(sizes[n] for n in range(other.start, one.stop))
        assert shared <= overlap
        before = other.start - 1  # one more would have been too much, for the overlap or the chunk
        more = shared + sizes[before]
        assert before < one.start or more > overlap or more + sizes[one.stop] > tokens
    if overlap == 0 and held:
        assert sum(len(r) for r in held) == len(parts)


def test_a_word_longer_than_a_chunk_falls_apart() -> None:
    offsets = [(0, 1), (2, 4), (4, 6), (6, 8), (9, 10)]
    assert pieces(offsets, [0, 1, 1, 1, 2], 3) == [Piece(0, 1, 1), Piece(2, 8, 3), Piece(9, 10, 1)]
    assert pieces(offsets, [0, 1, 1, 1, 2], 2) == [
        *(Piece(0, 1, 1), Piece(2, 4, 1), Piece(4, 6, 1), Piece(6, 8, 1), Piece(9, 10, 1))
    ]


@pytest.mark.parametrize(("tokens", "overlap"), [(None, 32), (50, 10), (20, 0)])
def test_the_model_reads_every_chunk_whole(
    default_encoder: Encoder, tokens: int | None, overlap: int
) -> None:
    cut = default_encoder.chunk(TEXT, tokens, overlap)
    assert all(TEXT[chunk.start : chunk.end] == chunk.text for chunk in cut)
    left_out = [TEXT[one.end : other.start] for one, other in itertools.pairwise(cut)]
    assert all(gap.strip() == "" for gap in left_out)
    assert (cut[0].start, cut[-1].end) == (0, len(TEXT))
    with warnings.catch_warnings():
        warnings.simplefilter("error", TruncationWarning)
        vectors = default_encoder.encode_documents([chunk.text for chunk in cut])
    most = 256 if tokens is None else tokens + 2  # the markers
    assert max(map(len, vectors)) <= most
    assert min(map(len, vectors[:-1])) > most - 12  # chunks are full but for a word


def test_short_texts_are_one_chunk_and_empty_ones_none(default_encoder: Encoder) -> None:
    (chunk,) = default_encoder.chunk("  The cat sat. ")
    assert chunk == ("The cat sat.", 2, 14)
    assert default_encoder.chunk("") == default_encoder.chunk(" \n ") == []


@pytest.mark.parametrize(
    ("tokens", "overlap", "complaint"),
    [(0, 0, "1 to 254"), (255, 0, "1 to 254"), (10, 10, "10 of 10"), (10, -1, "-1 of 10")],
)
def test_chunks_that_cannot_be_are_refused(
    default_encoder: Encoder, tokens: int, overlap: int, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        default_encoder.chunk(TEXT, tokens, overlap)


def test_markers_of_a_checkpoint_leave_less_room(stanford_checkpoint: Path) -> None:
    encoder = Encoder(stanford_checkpoint, device="cpu")
    with pytest.raises(ValueError, match="1 to 11"):  # 14 with [CLS], [SEP] and its marker
        encoder.chunk("a cat", 12)
    cut = encoder.chunk("the cat sat on the mat under a tree " * 3, overlap=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", TruncationWarning)
        assert {len(v) for v in encoder.encode_documents([c.text for c in cut])} <= set(range(15))
