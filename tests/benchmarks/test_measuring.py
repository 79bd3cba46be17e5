"""What the benchmarks compute of what they measure, without a database."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from benchmarks.growth import more_documents
from benchmarks.harness import table
from benchmarks.measuring import Figures, share_found
from benchmarks.report import Entry, Measurement, Run, draw, written
from benchmarks.scaling import Point, Truth, at_recall
from benchmarks.scifact import brute_force, generated, ndcg

WHOLE = generated(40, 6)


def measurement() -> Measurement:
    exact = Run("default", True, [0.4, 0.2, 0.3], [1, 1, 1], [1, 0.5, 0], [1, 0.5, 0])
    fast = Run("nprobe 8", True, [0.03], [0.9], [0.5], [1.0], rates={"2": 40.0})
    return Measurement(
        "a collection",
        1000,
        "PostgreSQL 18",
        "jit off",
        [
            Entry("exact", 0.1, 0, runs=[exact]),
            Entry("plaid", 2.0, 38_000, runs=[fast, Run("nprobe 9", True, failed="out of luck")]),
            Entry("LanceDB", missing="cannot be installed: no network"),
        ],
    )


def test_generated_collections_are_unit_vectors_and_the_same_every_time() -> None:
    again = generated(40, 6)
    assert all(np.array_equal(a, b) for a, b in zip(WHOLE.documents, again.documents, strict=True))
    for matrix in (*WHOLE.documents, *WHOLE.queries):
        assert np.linalg.norm(matrix, axis=1) == pytest.approx(1, abs=2e-3)


def test_brute_force_is_the_sum_of_each_query_tokens_best_product() -> None:
    scores = brute_force(WHOLE.documents, WHOLE.queries)
    expected = [[(q @ d.T).max(axis=1).sum() for q in WHOLE.queries] for d in WHOLE.documents]
    assert scores == pytest.approx(np.array(expected), abs=1e-4)


def test_the_best_of_documents_added_by_parts_are_the_best_of_all() -> None:
    truth = Truth(WHOLE.queries)
    for first in range(0, 40, 7):
        truth.add(WHOLE.documents[first : first + 7])
    scores = brute_force(WHOLE.documents, WHOLE.queries)
    assert truth.best == np.argsort(-scores, axis=0, kind="stable")[:10].T.tolist()


def test_more_documents_are_unit_vectors_near_their_models_and_none_alike() -> None:
    made = list(islice(more_documents(WHOLE.documents), 100))
    assert len({document.tobytes() for document in made}) == 100
    tokens = np.concatenate(WHOLE.documents)
    for document in made[:10]:
        assert np.linalg.norm(document, axis=1) == pytest.approx(1, abs=2e-3)
        assert 0.5 < np.median((document @ tokens.T).max(axis=1)) < 0.999


def test_ndcg_is_one_for_the_judged_documents_first_and_less_below_others() -> None:
    assert ndcg([3, 4, 9], {3: 1, 4: 1}) == 1
    assert ndcg([9, 3, 4], {3: 1, 4: 1}) == pytest.approx(
        (1 / np.log2(3) + 1 / np.log2(4)) / (1 + 1 / np.log2(3))
    )
    assert ndcg([9], {3: 1}) == 0


def test_latency_at_a_recall_lies_between_the_settings_around_it() -> None:
    points = [
        Point("low", 0.90, 0.010),
        Point("worse than low", 0.85, 0.020),
        Point("high", 1.00, 0.030),
    ]
    assert at_recall(points, 0.95) == pytest.approx(0.020)
    assert at_recall(points, 0.80) == 0.010
    assert at_recall(points[:2], 0.95) is None


def test_tables_align_and_end_short_rows_in_a_remark() -> None:
    lines = table(["method", "ms", "q/s"], [["exact", "700.0", "1"], ["LanceDB", "not here"]])
    assert lines.splitlines() == [
        "method      ms  q/s",
        "exact    700.0    1",
        "LanceDB  not here",
    ]


def test_the_table_says_what_is_missing_what_failed_and_how_far_from_exact() -> None:
    lines = {line.split("  ")[0]: line for line in reversed(written(measurement()).splitlines())}
    assert lines["LanceDB"].endswith("missing: cannot be installed: no network")
    assert "10.0x" in lines["plaid"]
    assert "-0.5000" in lines["plaid"]
    assert " 38 " in lines["plaid"]
    assert "nprobe 9  failed: out of luck" in written(measurement())


def test_a_measurement_survives_being_kept() -> None:
    assert Measurement.from_json(measurement().to_json()) == measurement()


def test_the_plot_has_a_line_for_every_method_that_was_measured(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra bench is not installed")
    draw(measurement(), tmp_path / "plot.svg")
    drawn = (tmp_path / "plot.svg").read_text()
    assert "exact" in drawn
    assert "LanceDB" not in drawn


def test_recall_is_the_share_of_the_best_scores_and_equal_scores_count_alike() -> None:
    scores = np.array([3.0, 1.0, 2.0, 2.0], dtype=np.float32)
    assert share_found(scores, [3.0, 2.0], 2) == 1
    assert share_found(scores, [3.0, 1.0], 2) == 0.5
    assert share_found(scores, [2.0, 2.0], 3) == 2 / 3
    assert share_found(scores, [3.0, 2.0, 2.0, 1.0], 9) == 1
    assert share_found(scores[:0], [], 9) == 1


def test_figures_are_times_of_exact_search_and_a_dash_where_nothing_is_known() -> None:
    assert Figures([0.01, 0.02, 0.03], [0.2, 0.1], 0.5, 80, 12_345).cells() == [
        "20.0",
        "29.0",
        "12.5",
        "0.500",
        "80",
        "12,345",
    ]
    assert Figures([0.02]).cells() == ["20.0", "20.0", "-", "-", "-", "-"]
