"""What callers may pass, and a sentence for what they may not."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

_AS_TEXT = (
    *(datetime.date, datetime.time, datetime.timedelta),  # a datetime is a date
    *(decimal.Decimal, uuid.UUID),
)


def require_connection(connection: Any, kind: type, client: str) -> None:
    """Refuse what is no psycopg connection of this kind.

    Raises:
        TypeError: with a sentence.
    """
    if isinstance(connection, kind):
        return
    if isinstance(connection, psycopg.Connection | psycopg.AsyncConnection):
        other = "AsyncClient" if client == "Client" else "Client"
        raise TypeError(f"this is a connection for {other}, not for {client}")
    # What wraps a connection has what it has.
    if not (hasattr(connection, "cursor") and hasattr(connection, "pgconn")):
        raise TypeError(
            f"{client} takes an open connection of psycopg 3, not {_named(connection)}: "
            f"{client}({'await ' if client == 'AsyncClient' else ''}"
            f"psycopg.{kind.__name__}.connect(url))"
        )


def require_encoder(encoder: Any, client: str) -> None:
    """Refuse what is neither an encoder nor None.

    Raises:
        TypeError: with a sentence.
    """
    if isinstance(encoder, str):
        raise TypeError(
            f"an encoder is expected, not the name of a model: "
            f"{client}(connection, Encoder({encoder!r}))"
        )
    if isinstance(encoder, type) or not (encoder is None or hasattr(encoder, "encode_queries")):
        raise TypeError(f"an encoder is expected, not {_named(encoder)}: Encoder.default() is one")


def is_blank(query: Any) -> bool:
    """Whether a query is the text of an empty search box."""
    return isinstance(query, str) and not query.strip()


def require_text(query: Any) -> None:
    """Refuse a query that is no text.

    Raises:
        TypeError: with a sentence.
    """
    if not isinstance(query, str):
        raise TypeError(f"the query must be text here, not {_named(query)}: vectors go in vectors=")


def require_texts(contents: Any, *, encoded: bool) -> None:
    """Refuse contents that are no sequence of texts; None is one where nothing is ``encoded``.

    Raises:
        TypeError: with a sentence.
    """
    require_values("contents", contents)
    for place, content in enumerate(contents):
        if not isinstance(content, str) and (encoded or content is not None):
            raise TypeError(
                f"contents are texts, but number {place} is {_named(content)}: "
                "vectors go in embeddings="
            )


def require_values(name: str, given: Any) -> None:
    """Refuse a single value where one for each document is expected.

    Raises:
        TypeError: with a sentence.
    """
    if isinstance(given, str | bytes | Mapping) or not hasattr(given, "__len__"):
        raise TypeError(f"{name} takes a list with a value for each document, not {_named(given)}")


def require_keys(name: str, given: Any) -> None:
    """Refuse a single key where several are expected.

    Raises:
        TypeError: with a sentence.
    """
    if isinstance(given, str | bytes | Mapping) or not hasattr(given, "__iter__"):
        raise TypeError(f"{name} takes a list of keys, not {_named(given)}")


def json_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping as JSON can hold it: dates, times, decimals and uuids become their text.

    A condition casts them back: ``(params->>'since')::date``.

    Raises:
        TypeError: for values that JSON cannot hold.
    """
    try:
        ready: dict[str, Any] = json.loads(json.dumps(given, default=_plain, allow_nan=False))
    except ValueError as error:
        raise TypeError("JSON holds neither nan nor infinity, nor what contains itself") from error
    except TypeError as error:
        if type(error) is not _NotJson:
            raise TypeError("the names in a JSON object are texts") from error
        raise TypeError(str(error)) from None
    return ready


class _NotJson(TypeError):  # noqa: N818
    pass


def _plain(value: Any) -> Any:
    if isinstance(value, _AS_TEXT):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):  # NumPy's numbers and arrays
        return value.tolist()
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray):
        return list(value)
    raise _NotJson(
        f"JSON cannot hold {_named(value)}: pass text, numbers, true, false, None, lists or dicts"
    )


def _named(value: Any) -> str:
    """What a value is, for a message: never its contents, which may be long or secret."""
    if value is None:
        return "None"
    if isinstance(value, str):
        return "text"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    kind = type(value)
    name = kind.__qualname__
    module = kind.__module__.partition(".")[0]
    return f"a value of type {name if module == 'builtins' else f'{module}.{name}'}"
