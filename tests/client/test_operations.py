"""An operation is declared once: both clients have it; type checkers, help() and inspect see it."""

from __future__ import annotations

import inspect
import pydoc
import typing
from collections.abc import Coroutine
from typing import Any, assert_type

import numpy as np
import pytest

from colbert_pg import AsyncClient, Client, Explanation, Hit, HybridHit, Problem, Stage
from colbert_pg.vectors import Matrix


async def checked_by_mypy(client: Client, other: AsyncClient) -> None:
    """Never run: the types are what mypy says of them."""
    assert_type(client.search("documents", "cat", k=3), list[Hit])
    assert_type(
        await assert_type(other.search("documents", "cat", k=3), Coroutine[Any, Any, list[Hit]]),
        list[Hit],
    )
    assert_type(await other.hybrid_search("documents", "cat", content="x"), list[HybridHit])
    assert_type(client.explain("documents", np.eye(3), 1), Explanation)
    assert_type(await other.explain_search("documents", "cat", exact=True), list[Stage])
    assert_type(client.add("documents", ["cat"]), int)
    assert_type(await other.embeddings("documents", [1]), list[Matrix | None])
    assert_type(client.check_index("documents"), list[Problem])
    client.install()
    await other.install()
    client.search("documents")  # type: ignore[call-arg]
    client.search("documents", "cat", 3)  # type: ignore[call-arg]
    client.search("documents", "cat", k="3")  # type: ignore[arg-type]
    await other.search("documents", "cat", limit=3)  # type: ignore[call-arg]


OPERATIONS = sorted(
    name for name, _ in inspect.getmembers(Client, inspect.isfunction) if name[0] != "_"
)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_a_function_of_each_client_with_its_own_signature_and_docstring(
    name: str,
) -> None:
    for kind in (Client, AsyncClient):
        method = getattr(kind, name)
        assert method.__qualname__ == f"{kind.__name__}.{name}"
        assert len(method.__doc__) > 20
        assert inspect.iscoroutinefunction(method) == (kind is AsyncClient)
        assert not inspect.isgeneratorfunction(method)
        signature = inspect.signature(method)
        assert "Steps" not in str(signature)
        assert "args" not in signature.parameters
        assert typing.get_type_hints(method)["return"] is not None


def test_help_shows_operations_as_the_clients_own() -> None:
    for kind in (Client, AsyncClient):
        text = pydoc.plain(pydoc.render_doc(kind))
        own = text[text.index("Methods defined here") : text.index("Data descriptors")]
        assert "search(self, source: 'str', query: 'str | npt.ArrayLike', *, k: 'int' = 10" in own
        assert "-> 'list[Hit]'" in own
        assert "The ``k`` best documents, best first" in own


def test_a_wrong_call_is_answered_as_of_any_function(client: Client) -> None:
    with pytest.raises(TypeError, match=r"Client.search\(\) missing 1 required positional"):
        client.search("documents")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'limit'"):
        client.search("documents", "cat", limit=3)  # type: ignore[call-arg]


def test_a_subclass_may_have_a_method_of_its_own(client: Client) -> None:
    class Loud(Client):
        def search(self, source: str, *query: Any, **options: Any) -> list[Hit]:
            return super().search(source, *[text.lower() for text in query], **options)

    loud = Loud(client.connection, client.encoder)
    assert loud.search("documents", "CAT", k=1) == client.search("documents", "cat", k=1)
    assert loud.rerank("documents", "cat", [1]) == client.rerank("documents", "cat", [1])


@pytest.mark.parametrize(
    "name",
    [
        "colbert_pg.client.Client",
        "colbert_pg.client.TextEncoder",
        "colbert_pg.encoder.Encoder",
        "colbert_pg.encoder.TruncationWarning",
        "colbert_pg.encoding.Encoder",
        "colbert_pg.explain.explanation_page",
        "colbert_pg.operations.offsets",
        "colbert_pg.page.explanation_page",
        "colbert_pg.query_cache.QueryCache",
        "colbert_pg.vectors.VECTOR_TYPES",
        "colbert_pg.worker.Worker",
    ],
)
def test_public_names_are_found_where_they_have_been(name: str) -> None:
    assert pydoc.locate(name) is not None
