"""The documentation strings that the demo searches and the projection was fitted to."""

from __future__ import annotations

import pytest

from colbert_pg.cli.corpus import Docstring, standard_library_docstrings


@pytest.fixture(scope="module")
def corpus() -> list[Docstring]:
    return standard_library_docstrings()


def test_there_are_a_thousand_and_more_each_of_its_own(corpus: list[Docstring]) -> None:
    assert len(corpus) > 1000
    assert len({name for name, _ in corpus}) == len({text for _, text in corpus}) == len(corpus)


def test_the_list_is_the_same_each_time_and_sorted(corpus: list[Docstring]) -> None:
    assert standard_library_docstrings(limit=10**6) == corpus == sorted(corpus)


@pytest.mark.parametrize("name", ["csv.reader", "subprocess.run", "heapq", "tempfile.mkdtemp"])
def test_documentation_written_in_python_and_in_c_is_found(
    corpus: list[Docstring], name: str
) -> None:
    assert name in dict(corpus)


def test_private_names_and_tests_are_left_out(corpus: list[Docstring]) -> None:
    parts = {part for name, _ in corpus for part in name.split(".")} - {"__init__"}
    assert not {part for part in parts if part.startswith("_")}
    assert parts.isdisjoint({"idle_test", "distutils"})


def test_short_texts_are_left_out(corpus: list[Docstring]) -> None:
    assert min(len(text.split()) for _, text in corpus) == 10
    longer = standard_library_docstrings(minimum_words=40)
    assert set(longer) == {one for one in corpus if len(one.text.split()) >= 40}


def test_a_limit_takes_documents_from_the_whole_list(corpus: list[Docstring]) -> None:
    some = standard_library_docstrings(limit=100)
    assert len(set(some)) == 100
    assert set(some) <= set(corpus)
    assert some[0].name[0] == "a" < "s" < some[-1].name
