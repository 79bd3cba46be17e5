"""An index for PyLate's retrievers and evaluations, over a table.

    index = LateInteractionIndex(Client(connection), "collection", dimensions=128)
    index.add_documents(ids, model.encode(texts, is_query=False))
    retriever = retrieve.ColBERT(index=index)
    retriever.retrieve(model.encode(queries, is_query=True), k=10)

It has what ``pylate.indexes.Base`` asks for, and imports nothing of PyLate: vectors come from
there, and a client needs no encoder for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from psycopg import sql

from colbert_pg._cursors import own_cursor, rows
from colbert_pg._statements import quoted, verbatim
from colbert_pg.catalog import Source, vector_types
from colbert_pg.catalog import source as look_up
from colbert_pg.client import Client
from colbert_pg.options import Method, Options
from colbert_pg.vectors import HalfTokenArray, Matrix, TokenArray, register

__all__ = ["LateInteractionIndex"]


class LateInteractionIndex:
    """The documents of a table: ids are its keys, as text.

    Args:
        client: without an encoder will do. Nothing is committed: its connection is in autocommit
            mode, or you commit.
        source: the table, as SQL writes it. One that is not there is created, with a text for a
            key, and indexed.
        dimensions: of the vectors of a table that is created.
        half: whether it keeps them in two bytes a number.
        method, options: of the index that is created.
        embeddings: the array column, where several are indexed.
        override: drop the table first, if it is there.

    Raises:
        NotInstalled: if the database lacks pgvector or colbert_pg.
    """

    #: What PyLate asks for: results are ranked by their final scores.
    is_end_to_end_index = True

    def __init__(
        self,
        client: Client,
        source: str,
        *,
        dimensions: int = 128,
        half: bool = True,
        method: Method | None = None,
        options: Options | None = None,
        embeddings: str | None = None,
        override: bool = False,
    ) -> None:
        self.client = client
        self.source = source
        self.embeddings = embeddings
        self._types = vector_types(client.connection)
        found = look_up(client.connection, source)
        with client.connection.transaction():
            if found is not None and override:
                if found.index(embeddings) is not None:
                    client.drop_index(source, embeddings)
                client.connection.execute(
                    sql.SQL("DROP TABLE {}").format(quoted(*found.identifier))
                )
                found = None
            if found is None:
                client.connection.execute(
                    sql.SQL(
                        "CREATE TABLE {} (id text PRIMARY KEY, embeddings {}({})[] NOT NULL)"
                    ).format(
                        sql.SQL(source),
                        sql.SQL("halfvec" if half else "vector"),
                        sql.Literal(dimensions),
                    )
                )
                client.create_index(source, method=method, options=options)

    def add_documents(
        self,
        documents_ids: str | Sequence[str],
        documents_embeddings: Any,
        batch_size: int = 2000,
    ) -> Self:
        """Add documents, by COPY; those that are there get the new vectors.

        Args:
            documents_ids: their keys.
            documents_embeddings: for each an array or a tensor (tokens, dimensions) of unit rows.
            batch_size: how many to send at once.
        """
        ids = [documents_ids] if isinstance(documents_ids, str) else [str(i) for i in documents_ids]
        matrices = list(_matrices(documents_embeddings))
        if len(ids) != len(matrices):
            raise ValueError(f"there are {len(ids)} ids and the vectors of {len(matrices)}")
        last = dict(zip(ids, matrices, strict=True))
        with self.client.connection.transaction():
            for start in range(0, len(last), batch_size):
                self._put(dict(list(last.items())[start : start + batch_size]))
        return self

    def remove_documents(self, documents_ids: Sequence[str]) -> Self:
        """Delete documents; ids that are not there are passed over."""
        table, key = self._table()
        statement = sql.SQL("DELETE FROM {} WHERE {} = ANY (%s::{}[])").format(
            quoted(*table.identifier), quoted(key), verbatim(table.key_type(self.embeddings))
        )
        ids = [documents_ids] if isinstance(documents_ids, str) else documents_ids
        self.client.connection.execute(statement, [[str(i) for i in ids]])
        return self

    def __call__(
        self,
        queries_embeddings: Any,
        k: int = 10,
        subset: Sequence[str] | Sequence[Sequence[str]] | None = None,
    ) -> list[list[dict[str, Any]]]:
        """The ``k`` best documents of each query, ``{"id": …, "score": …}``, best first.

        Args:
            queries_embeddings: for each an array or a tensor (tokens, dimensions); rows of zeros,
                which fill batches up, are left out.
            k: how many documents.
            subset: ids to restrict the search to, for all queries or for each. These are scored
                exactly.
        """
        results: list[list[dict[str, Any]]] = []
        for place, matrix in enumerate(_matrices(queries_embeddings)):
            query = matrix[np.any(matrix != 0, axis=1)]
            ids = _of_query(subset, place)
            if not len(query):
                results.append([])
                continue
            hits = (
                self.client.search(self.source, query, k=k, embeddings=self.embeddings)
                if ids is None
                else self.client.rerank(self.source, query, ids, k=k, embeddings=self.embeddings)
            )
            results.append([{"id": str(hit.doc_id), "score": hit.score} for hit in hits])
        return results

    def get_documents_embeddings(
        self, documents_ids: Sequence[Sequence[str]]
    ) -> list[list[Matrix | None]]:
        """The stored vectors, for reranking in Python; None for ids that are not there."""
        return [
            self.client.embeddings(self.source, list(ids), self.embeddings) for ids in documents_ids
        ]

    def _table(self) -> tuple[Source, str]:
        table = look_up(self.client.connection, self.source)
        if table is None:
            raise ValueError(f"there is no table {self.source}")
        return table, table.key(self.embeddings)

    def _put(self, documents: dict[str, Matrix]) -> None:
        """New vectors for the keys that are there, and rows for the others."""
        table, key = self._table()
        connection = self.client.connection
        column = table.embeddings(self.embeddings, self._types)
        cast = verbatim(table.key_type(self.embeddings))
        there = {
            found
            for (found,) in rows(
                connection,
                sql.SQL("SELECT {0}::text FROM {1} WHERE {0} = ANY (%s::{2}[])").format(
                    quoted(key), quoted(*table.identifier), cast
                ),
                [list(documents)],
            )
        }
        half = table.column(column).type == self._types.halfvec_array
        kind = HalfTokenArray if half else TokenArray
        with own_cursor(connection) as cursor:
            register(cursor, self._types)
            cursor.executemany(
                sql.SQL("UPDATE {} SET {} = %s WHERE {} = %s::{}").format(
                    quoted(*table.identifier), quoted(column), quoted(key), cast
                ),
                [(kind(documents[found]), found) for found in documents if found in there],
            )
        new = [document for document in documents if document not in there]
        if new:
            self.client.add(
                self.source,
                keys=_as_keys(new, table.key_type(self.embeddings)),
                embeddings=[documents[document] for document in new],
                embeddings_column=column,
                key_column=key,
            )


def _as_keys(ids: Sequence[str], key_type: str) -> list[Any]:
    """Ids as COPY takes them."""
    return [int(i) for i in ids] if key_type in ("bigint", "integer", "smallint") else list(ids)


def _of_query(subset: Any, place: int) -> list[str] | None:
    if subset is None:
        return None
    if len(subset) and not isinstance(subset[0], str | int):
        subset = subset[place]
    return [str(i) for i in subset]


def _matrices(given: Any) -> Iterator[Matrix]:
    """A matrix for each of several, as arrays, tensors or lists; one alone is one of one."""
    if getattr(given, "ndim", None) == 2:
        given = [given]
    for one in given:
        # A tensor of PyTorch, of any device and precision: NumPy knows no bfloat16.
        array = one.detach().float().cpu().numpy() if hasattr(one, "detach") else one
        yield np.asarray(array, dtype=np.float32)
