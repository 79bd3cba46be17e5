"""What the operations share: the encoder, and what one client has looked up so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
from psycopg import sql

from colbert_pg._arguments import is_blank
from colbert_pg.catalog import INSTALLED, SOURCE, Index, Source, VectorTypes, types_of
from colbert_pg.client._operation import Compute, Query, Steps
from colbert_pg.encoding import TextEncoder, TokenText, cached, fingerprint_of, same_model
from colbert_pg.errors import EncoderMissing, ModelMismatch
from colbert_pg.vectors import TokenArray


class Known:
    """What one client knows of its database; looked up anew after any error.

    The types stay known until then: another operation of the same client may be under way.
    """

    def __init__(self) -> None:
        self.types: VectorTypes | None = None
        self.stale = True
        self.sources: dict[str, Source] = {}

    def forget(self) -> None:
        self.stale = True
        self.sources.clear()

    def vector_types(self) -> Steps[VectorTypes]:
        if self.types is None or self.stale:
            rows = yield Query(sql.SQL(INSTALLED), {})
            self.types, self.stale = types_of(rows), False
        return self.types

    def source(self, name: str, *, fresh: bool = False) -> Steps[Source]:
        if fresh or name not in self.sources:
            (row,) = yield Query(sql.SQL(SOURCE), {"source": name})
            self.sources[name] = Source.of(row)
        return self.sources[name]


class Core:
    """A client's encoder and knowledge.

    Attributes:
        encoder: as it was given.
    """

    def __init__(self, encoder: TextEncoder | None) -> None:
        self.encoder = encoder
        self._encoder = None if encoder is None else cached(encoder)
        self._known = Known()

    def _text_encoder(self) -> TextEncoder:
        if self._encoder is None:
            raise EncoderMissing(
                "text needs an encoder: Client(connection, encoder); or pass vectors"
            )
        return self._encoder

    def _query(
        self,
        source: str,
        query: str | npt.ArrayLike,
        embeddings: str | None,
        *,
        fresh: bool = False,
    ) -> Steps[TokenArray | None]:
        """The query's vectors. Text is encoded, by the model that the index is known to hold.

        None for text of which nothing is left, as in an empty search box: it finds nothing.

        ``fresh`` where no later statement would notice that the source is not what it was: after
        ``SET search_path``, its name may be that of another table.
        """
        yield from self._known.vector_types()
        if fresh:
            yield from self._known.source(source, fresh=True)
        if not isinstance(query, str):
            return TokenArray(query)
        encoder, text = self._text_encoder(), query
        if is_blank(text):
            return None
        table = yield from self._known.source(source)
        if self._differs(table.index(embeddings)):
            table = yield from self._known.source(source, fresh=True)
            self._refuse_other_model(source, table.index(embeddings))
        (matrix,) = yield Compute(lambda: encoder.encode_queries([text]))
        return TokenArray(matrix) if len(matrix) else None

    def _tokens(self, kind: str, text: Any) -> Sequence[TokenText]:
        """What the vectors of a text stand for; nothing where that is not known."""
        if self._encoder is None or not isinstance(text, str):
            return ()
        try:
            tokens: Sequence[TokenText] = getattr(self._encoder, kind)(text)
        except ValueError:  # pooled vectors, or a tokenizer without offsets
            return ()
        return tokens

    def _differs(self, index: Index | None) -> bool:
        if self._encoder is None or index is None or index.model is None:
            return False
        return not same_model(index.model, fingerprint_of(self._encoder))

    def _refuse_other_model(self, source: str, index: Index | None) -> None:
        if self._encoder is not None and index is not None and self._differs(index):
            raise ModelMismatch(source, index.model or {}, fingerprint_of(self._encoder))
