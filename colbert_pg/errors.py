"""The errors of this package. Errors of the database stay what psycopg makes of them.

A psycopg error already carries the SQLSTATE, the detail and the hint that the SQL functions give,
so it passes through untouched. Only what a caller can do something about in Python has a class
here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from psycopg import errors as pg

NO_SCHEMA = (
    "colbert_pg is not installed in this database: run Client.install(), colbert-pg install "
    "or CREATE EXTENSION colbert_pg"
)


class ColbertError(Exception):
    """Base of every error that this package raises itself."""


class NotInstalled(ColbertError):  # noqa: N818
    """The database lacks pgvector or colbert_pg."""


class EncoderMissing(ColbertError):  # noqa: N818
    """Text was given to a client that has no encoder."""


class BadPicture(ColbertError):  # noqa: N818
    """A picture or a page that cannot be read, or is too small or too large to encode."""


class DocumentMissing(ColbertError):  # noqa: N818
    """The table has no document with the key, or none that the reader may see.

    Attributes:
        source: the table as the caller named it.
        doc_id: the key.
    """

    def __init__(self, source: str, doc_id: Any) -> None:
        self.source = source
        self.doc_id = doc_id
        super().__init__(
            f"table {source} has no document with the key {doc_id!r}: "
            "pass a key of the table, such as the doc_id of a search's hit"
        )


class ModelMismatch(ColbertError):  # noqa: N818
    """The index holds vectors of another model than the encoder's.

    Attributes:
        source: the table as the caller named it.
        index_model: the fingerprint that the index remembers, or the name alone.
        encoder_model: the fingerprint of the encoder in use.
    """

    def __init__(
        self, source: str, index_model: Mapping[str, Any] | str, encoder_model: Mapping[str, Any]
    ) -> None:
        self.source = source
        named = {"name": index_model} if isinstance(index_model, str) else index_model
        self.index_model = dict(named)
        self.encoder_model = dict(encoder_model)
        super().__init__(
            f"the vectors of {source} come from another model: the index says "
            f"{_differences(self.index_model, self.encoder_model)}, the encoder says "
            f"{_differences(self.encoder_model, self.index_model)}"
        )


class EmbeddedServerError(ColbertError):
    """The embedded server cannot be created, started or joined."""


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """What ``one`` says where the two differ, short enough for a message."""
    return ", ".join(
        f"{name} {json.dumps(one.get(name))}"
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name)
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turn the error of a missing schema ``colbert`` into :class:`NotInstalled`."""
    try:
        yield
    except pg.InvalidSchemaName as error:
        if not re.search(r"\Wcolbert\W", error.diag.message_primary or ""):  # in any language
            raise
        raise NotInstalled(NO_SCHEMA) from error
