"""One declaration, two clients: how an operation becomes a function of each.

An operation is a generator. It yields steps (a query, a COPY, work for the processor) and is sent
their answers; what it returns is the result. Nothing in it touches a connection.
:class:`~colbert_pg.client.Client` carries the steps out at once,
:class:`~colbert_pg.client.AsyncClient` awaits them.

The decorator :func:`operation` declares one. Type checkers and editors see an :class:`Operation`:
it has the generator's parameters, and gives the result to a Client and a coroutine of the result to
an AsyncClient. Python sees a function of each client's own, with the generator's signature and
docstring, which :func:`give_operations` makes: for ``help()`` and ``inspect``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from functools import wraps
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    NamedTuple,
    ParamSpec,
    TypeVar,
    overload,
)

from psycopg import sql

if TYPE_CHECKING:
    from colbert_pg.client import AsyncClient, Client

P = ParamSpec("P")
T = TypeVar("T")

# The steps


class Query(NamedTuple):
    """A statement; its answer is all of its rows, fetched as text unless ``binary``.

    One that ``commits`` as it goes cannot run inside a transaction.
    """

    statement: sql.SQL | sql.Composed
    parameters: Mapping[str, Any]
    binary: bool = False
    commits: bool = False


class Copy(NamedTuple):
    """Rows for a binary COPY, with the types of the columns; its answer is the number of rows."""

    statement: sql.SQL | sql.Composed
    types: Sequence[int]
    rows: Iterable[Sequence[Any]]


class Compute(NamedTuple):
    """Work that keeps a processor busy; its answer is what it returns."""

    work: Callable[[], Any]


class Install(NamedTuple):
    """The script of this package, in a transaction of its own where none is open; no answer."""


Step = Query | Copy | Compute | Install
Steps = Generator[Step, Any, T]

# The operations


class Operation(Generic[P, T]):
    """What a client does, as whichever client it is asked of does it."""

    def __init__(self, steps: Callable[Concatenate[Any, P], Steps[T]]) -> None:
        self.steps: Any = steps
        self.steps.__qualname__ = f"Client.{self.steps.__name__}"  # in messages of Python's

    @overload
    def __get__(self, client: Client, kind: Any = None) -> Callable[P, T]: ...
    @overload
    def __get__(
        self, client: AsyncClient, kind: Any = None
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, client: None, kind: type[Client]) -> Callable[Concatenate[Client, P], T]: ...
    @overload
    def __get__(
        self, client: None, kind: type[AsyncClient]
    ) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Any, kind: Any = None) -> Any:
        return self  # give_operations puts functions in its place


def operation(steps: Callable[Concatenate[Any, P], Steps[T]]) -> Operation[P, T]:
    """Declare an operation of both clients."""
    return Operation(steps)


def give_operations(client: type, carry_out: Callable[[Callable[..., Steps[Any]]], Any]) -> None:
    """Give a client a function for each :class:`Operation` that it inherits.

    Args:
        client: the class.
        carry_out: makes of an operation's steps a function that carries them out.
    """
    for name, declared in inspect.getmembers_static(client):
        if isinstance(declared, Operation):
            setattr(client, name, _function(client, declared.steps, carry_out(declared.steps)))


def _function(client: type, steps: Callable[..., Steps[Any]], function: Any) -> Any:
    """The function with the name, docstring and signature of the steps, and their result alone."""
    function = wraps(steps)(function)
    function.__qualname__ = f"{client.__qualname__}.{steps.__name__}"
    result = steps.__annotations__["return"].removeprefix("Steps[").removesuffix("]")
    function.__annotations__ = {**steps.__annotations__, "return": result}
    function.__signature__ = inspect.signature(steps).replace(return_annotation=result)
    return function
