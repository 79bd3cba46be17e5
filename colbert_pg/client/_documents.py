"""Documents into a table, and their vectors back."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy.typing as npt
from psycopg import sql

from colbert_pg._arguments import require_keys, require_texts, require_values
from colbert_pg._statements import quoted
from colbert_pg.catalog import BIT_ARRAY, Column
from colbert_pg.client._calls import Cast, placeholder
from colbert_pg.client._core import Core
from colbert_pg.client._operation import Compute, Copy, Query, Steps, operation
from colbert_pg.client._results import Key
from colbert_pg.encoding import offsets
from colbert_pg.vectors import BitTokenArray, HalfTokenArray, Matrix, TokenArray, of_bits

_UUID = 2950  # pg_type.oid, fixed in every PostgreSQL


class DocumentOperations(Core):
    """What both clients do with documents."""

    @operation
    def add(
        self,
        source: str,
        contents: Sequence[str] | None = None,
        *,
        keys: Sequence[Key] | None = None,
        columns: Mapping[str, Sequence[Any]] | None = None,
        embeddings: Sequence[npt.ArrayLike | None] | None = None,
        content_column: str = "content",
        embeddings_column: str | None = None,
        key_column: str | None = None,
        offsets_column: str | None = None,
        progress: bool = False,
    ) -> Steps[int]:
        """Add documents in bulk, by one binary COPY.

        Args:
            source: the table.
            contents: the texts, for ``content_column``; encoded unless ``embeddings`` are given.
            keys: one per document, where the table does not make them.
            columns: values of other columns, by name, of the Python types that psycopg has for
                them. It has none for some types, such as tsvector: let the table generate those.
            embeddings: a float array (tokens, dimensions) per document, or None for NULL.
            content_column: where the texts go.
            embeddings_column: where the vectors go. Default: the indexed column, else
                ``embeddings``, else the only column of that type.
            key_column: where the keys go. Default: the key of the index, else the primary key.
            offsets_column: a column of type ``int4range[]`` for where in the text each vector
                stands, as SQL's ``substr`` counts; NULL for what the model adds.
            progress: show how far encoding is.

        Returns:
            The number of rows.

        Raises:
            ModelMismatch: if the index holds vectors of another model than the encoder's.
            EncoderMissing: for texts without vectors on a client without an encoder.
            TypeError: for one value where one for each document belongs, and for vectors where
                texts belong.
            ValueError: if the sequences differ in length, or a column does not exist; for offsets,
                if vectors are pooled or the model's tokenizer does not tell them.
        """
        if contents is not None:
            require_texts(contents, encoded=embeddings is None)
        if keys is not None:
            require_values("keys", keys)
        if embeddings is not None:
            require_values("embeddings", embeddings)
        for name, given in (columns or {}).items():
            require_values(f'the column "{name}"', given)
        types = yield from self._known.vector_types()
        table = yield from self._known.source(source, fresh=True)
        array_column = table.embeddings(embeddings_column, types)
        if embeddings is None and contents is not None:
            encoder, texts = self._text_encoder(), contents
            self._refuse_other_model(source, table.index(array_column))
            embeddings = yield Compute(lambda: encoder.encode_documents(texts, progress=progress))
        values: dict[str, Sequence[Any]] = dict(columns or {})
        if keys is not None:
            values[key_column or table.key(array_column)] = keys
        if contents is not None:
            values[content_column] = contents
        if offsets_column is not None:
            encoder, texts = self._text_encoder(), contents or ()
            values[offsets_column] = yield Compute(lambda: [offsets(encoder, t) for t in texts])
        if embeddings is not None:
            kinds = {types.halfvec_array: HalfTokenArray, BIT_ARRAY: BitTokenArray}
            kind = kinds.get(table.column(array_column).type, TokenArray)
            values[array_column] = [None if e is None else kind(e) for e in embeddings]
        if len({len(column) for column in values.values()}) != 1:
            lengths = ", ".join(f"{name}: {len(column)}" for name, column in values.items())
            raise ValueError(f"every column needs a value per document ({lengths or 'none given'})")
        described = {name: table.column(name) for name in values}
        converted = [_converted(values[name], column) for name, column in described.items()]
        copied = yield Copy(
            sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
                sql.Identifier(*table.identifier), sql.SQL(", ").join(map(sql.Identifier, values))
            ),
            [column.type for column in described.values()],
            zip(*converted, strict=True),
        )
        return int(copied)

    @operation
    def embeddings(
        self, source: str, keys: Sequence[Key], embeddings: str | None = None
    ) -> Steps[list[Matrix | None]]:
        """The stored token vectors of documents, in the order of ``keys``.

        Each is a float32 array (tokens, dimensions), good as a query for similar documents; None
        for a NULL array and for a key that is not there. Bits come as the unit vectors whose signs
        they are.
        """
        require_keys("embeddings", keys)
        types = yield from self._known.vector_types()
        table = yield from self._known.source(source, fresh=True)
        column = table.embeddings(embeddings, types)
        bits = table.column(column).type == BIT_ARRAY
        rows = yield Query(
            sql.SQL(
                "SELECT d.{column}{cast}"
                " FROM pg_catalog.unnest({keys}) WITH ORDINALITY AS k (key, place)"
                " LEFT JOIN {table} d ON d.{key} = k.key ORDER BY k.place"
            ).format(
                column=quoted(column),
                cast=sql.SQL("::pg_catalog.text[]" if bits else ""),
                keys=placeholder("keys", Cast(keys, f"{table.key_type(embeddings)}[]")),
                table=quoted(*table.identifier),
                key=quoted(table.key(embeddings)),
            ),
            {"keys": list(keys)},
            binary=True,
        )
        if bits:
            return [None if row[0] is None else of_bits(row[0]) for row in rows]
        return [row[0] for row in rows]


def _converted(values: Iterable[Any], column: Column) -> Iterable[Any]:
    """Keys of type uuid are often kept as text."""
    if column.type != _UUID:
        return values
    return (uuid.UUID(value) if isinstance(value, str) else value for value in values)
