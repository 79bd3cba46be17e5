"""The benchmark scripts run to their ends on a little collection, and say what is true."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import contenders, harness, loading, methods, scaling, scifact


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, database: str, tmp_path: Path) -> Callable[..., Path]:
    """Run a script without SciFact on a test's database; returns where its results are."""
    for module in (harness, contenders, methods):
        monkeypatch.setattr(module, "CACHE", tmp_path)
    monkeypatch.setattr(scifact, "SCIFACT", tmp_path / "nowhere")

    def run(main: Callable[[], None], *arguments: str) -> Path:
        output = tmp_path / "results"
        monkeypatch.setattr(
            sys, "argv", ["script", "--url", database, "--output", str(output), *arguments]
        )
        main()
        return output

    return run


def row(text: str, start: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith(start))
    return line.split()


def test_methods_find_what_brute_force_finds(run: Callable[..., Path]) -> None:
    arguments = ["--documents", "60", "--queries", "8", "--budget", "1", "--load", "0"]
    arguments += ["--options", '{"plaid": {"centroids": 500}}']
    output = run(
        methods.main, *arguments, "--only", "brute force", "example max_sim", "exact", "plaid"
    )
    table = output.with_suffix(".txt").read_text()
    for name in ("brute force", "example max_sim", "exact"):
        lines = [line for line in table.splitlines() if line.startswith(f"{name}  ")]
        assert len(lines) == 2  # one thread, and the default
        assert all("1.0000" in line and "+0.0000" in line for line in lines)
    assert 'index options {"plaid": {"centroids": 500}}' in table
    assert "NOT FINISHED" not in table
    assert "failed" not in table


def test_pgbench_counts_searches_of_concurrent_clients(run: Callable[..., Path]) -> None:
    if contenders._pgbench() is None:
        pytest.skip("there is no pgbench")
    arguments = ["--documents", "20", "--queries", "5", "--budget", "1", "--load", "1"]
    output = run(methods.main, *arguments, "--only", "exact")
    text = output.with_suffix(".txt").read_text()
    one_thread = next(line for line in text.splitlines() if line.startswith("exact"))
    *_, two, eight = one_thread.split()
    assert float(two) > 0
    assert float(eight) > 0


def test_a_peer_that_cannot_be_installed_is_named(
    run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(methods, "LANCEDB", "./no-such-package")
    arguments = ["--documents", "20", "--queries", "2", "--load", "0", "--only", "exact", "LanceDB"]
    output = run(methods.main, *arguments)
    assert "LanceDB  missing: cannot be installed" in output.with_suffix(".txt").read_text()


def test_loading_measures_every_method(run: Callable[..., Path]) -> None:
    arguments = ["--loaded", "20", "--rounds", "1", "--copied", "3", "--inserted", "2"]
    text = run(loading.main, *arguments).read_text()
    for method in ("exact", "hnsw", "ivfflat", "plaid"):
        assert all(float(cell.replace(",", "")) > 0 for cell in row(text, method)[1:])


def test_scaling_compares_each_size_with_the_first(run: Callable[..., Path]) -> None:
    arguments = ["--real", "30", "--sizes", "25", "50", "--queries", "4", "--exact-queries", "1"]
    text = run(scaling.main, *arguments).read_text()
    summary = text[text.index("documents  tokens") :]
    first, second = row(summary, "       25"), row(summary, "       50")
    assert int(second[1].replace(",", "")) > int(first[1].replace(",", ""))
    assert first[-1] == "1.0"
