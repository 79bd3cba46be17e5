"""One declaration, two methods: how an operation becomes a method of both clients.

An operation is a generator. It yields steps (a query, a COPY, work for the processor) and is sent
their answers; what it returns is the result. Nothing in it touches a connection.
:class:`~colbert_pg.client.Client` carries the steps out at once,
:class:`~colbert_pg.client.AsyncClient` awaits them.

The decorator :func:`method` declares an operation as a method. Type checkers and editors see a
:class:`Method`: it has the operation's parameters, and gives the result to a Client and a coroutine
of the result to an AsyncClient. Python sees a function of each client's own, with the operation's
signature and docstring, which :func:`install_methods` makes: for ``help()`` and ``inspect``.
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
    """A statement; its answer is all of its rows, fetched as text unless ``binary``."""

    statement: sql.SQL | sql.Composed
    parameters: Mapping[str, Any]
    binary: bool = False


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

# The methods


class Method(Generic[P, T]):
    """An operation, as a method of whichever client it is asked of."""

    def __init__(self, operation: Callable[Concatenate[Any, P], Steps[T]]) -> None:
        self.operation: Any = operation
        self.operation.__qualname__ = f"Client.{self.operation.__name__}"  # in messages of Python's

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
        return self  # install_methods puts functions in its place


def method(operation: Callable[Concatenate[Any, P], Steps[T]]) -> Method[P, T]:
    """Declare an operation as a method of both clients."""
    return Method(operation)


def install_methods(client: type, run: Callable[[Callable[..., Steps[Any]]], Any]) -> None:
    """Give a client a function for each :class:`Method` that it inherits.

    Args:
        client: the class.
        run: makes a function, which carries out the operation, of the operation.
    """
    for name, declared in inspect.getmembers_static(client):
        if isinstance(declared, Method):
            setattr(client, name, _function(client, declared.operation, run(declared.operation)))


def _function(client: type, operation: Callable[..., Steps[Any]], function: Any) -> Any:
    """The function with the operation's name, docstring and signature, and its result alone."""
    function = wraps(operation)(function)
    function.__qualname__ = f"{client.__qualname__}.{operation.__name__}"
    result = operation.__annotations__["return"].removeprefix("Steps[").removesuffix("]")
    function.__annotations__ = {**operation.__annotations__, "return": result}
    signature = inspect.signature(operation)
    function.__signature__ = signature.replace(return_annotation=result)
    return function
