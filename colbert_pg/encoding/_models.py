"""What the library asks of an encoder, and how it knows one model from another."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeGuard

from psycopg.types.range import Int4Range

from colbert_pg.catalog import Model
from colbert_pg.vectors import Matrix


class TokenText(Protocol):
    """The text of one token, and where it stands (None for what an encoder adds)."""

    @property
    def text(self) -> str: ...
    @property
    def start(self) -> int | None: ...
    @property
    def end(self) -> int | None: ...


class TextEncoder(Protocol):
    """What the client asks of an encoder; :class:`colbert_pg.Encoder` is one.

    Every matrix is a float32 array (tokens, dimensions) with unit rows.
    """

    @property
    def fingerprint(self) -> Mapping[str, Any]: ...
    def encode_queries(self, texts: Sequence[str], /) -> Sequence[Matrix]: ...
    def encode_documents(
        self, texts: Sequence[str], /, *, progress: bool = False
    ) -> Sequence[Matrix]: ...
    def query_tokens(self, text: str, /) -> Sequence[TokenText]: ...
    def document_tokens(self, text: str, /) -> Sequence[TokenText]: ...


class PictureEncoder(TextEncoder, Protocol):
    """What a worker asks of an encoder for pictures, beside ``takes_pictures``."""

    def encode_pictures(self, pictures: Sequence[Any], /) -> Sequence[Matrix]: ...


def takes_pictures(encoder: TextEncoder) -> TypeGuard[PictureEncoder]:
    """Whether the encoder's model encodes pictures."""
    return bool(getattr(encoder, "takes_pictures", False))


def takes_texts(encoder: TextEncoder) -> bool:
    """Whether the encoder's model encodes texts as documents; all do that do not say otherwise."""
    return bool(getattr(encoder, "takes_texts", True))


def fingerprint_of(encoder: TextEncoder) -> dict[str, Any]:
    """The encoder's fingerprint, as it looks after a journey through jsonb."""
    model: dict[str, Any] = json.loads(json.dumps(encoder.fingerprint))
    return model


def same_model(known: Model | None, fingerprint: Mapping[str, Any]) -> bool:
    """Whether an index may hold vectors of the encoder with this fingerprint.

    It remembers a fingerprint, or a mere name of a model or nothing until the first worker comes.
    """
    if isinstance(known, str):
        return known == fingerprint.get("name")
    return known is None or dict(known) == fingerprint


def offsets(encoder: TextEncoder, text: str) -> list[Int4Range | None]:
    """Where in a document's text each of its vectors stands, as ``substr`` counts: from 1.

    None for what the model adds. Meant for a column of type ``int4range[]``.

    Raises:
        ValueError: the vectors are pooled, or the model's tokenizer does not tell offsets.
    """
    return [
        None
        if token.start is None or token.end is None
        else Int4Range(token.start + 1, token.end + 1)
        for token in encoder.document_tokens(text)
    ]
