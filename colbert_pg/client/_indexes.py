"""Installing, and making, checking and tuning indexes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import sql

from colbert_pg.catalog import view_sql
from colbert_pg.client._calls import Cast, call, procedure
from colbert_pg.client._core import Core
from colbert_pg.client._operation import Install, Query, Steps, operation
from colbert_pg.client._results import Problem, Recall, Trial
from colbert_pg.encoding import fingerprint_of
from colbert_pg.options import Method, Options


class IndexOperations(Core):
    """What both clients do with indexes."""

    @operation
    def install(self) -> Steps[None]:
        """Install or upgrade colbert_pg; see :func:`colbert_pg.install.install`."""
        yield Install()
        self._known.forget()

    @operation
    def create_index(
        self,
        source: str,
        embeddings: str = "embeddings",
        *,
        method: Method | None = None,
        options: Options | None = None,
        key: str | None = None,
        concurrently: bool = False,
    ) -> Steps[None]:
        """Index the token vectors of a table: ``colbert.create_index``.

        With an encoder, the index remembers its fingerprint (``options["model"]``), and text is
        never searched in, or added to, vectors of another model.

        Args:
            source: the table.
            embeddings: its column of token vectors.
            method, options, key: as in SQL.
            concurrently: let others write meanwhile: ``colbert.create_index_concurrently``, which
                commits as it goes.

        Raises:
            ValueError: for ``concurrently`` on a connection that is in a transaction, or would
                begin one.
        """
        model = {} if self._encoder is None else {"model": fingerprint_of(self._encoder)}
        made = procedure if concurrently else call
        yield made(
            "create_index_concurrently" if concurrently else "create_index",
            source=source,
            embeddings=embeddings,
            method=method,
            options={**model, **(options or {})} or None,
            key=key,
        )
        self._known.sources.pop(source, None)

    @operation
    def drop_index(
        self, source: str, embeddings: str | None = None, *, on_shards: bool = False
    ) -> Steps[None]:
        """Drop an index, not its source: ``colbert.drop_index``.

        Args:
            on_shards: drop the indexes of shards on other servers, too. They commit it at once.
        """
        yield call("drop_index", source=source, embeddings=embeddings, on_shards=on_shards or None)
        self._known.sources.pop(source, None)

    @operation
    def reindex(
        self,
        source: str,
        embeddings: str | None = None,
        *,
        concurrently: bool = False,
        retrain: bool = True,
    ) -> Steps[None]:
        """Build an index anew: ``colbert.reindex``.

        Args:
            source: the table.
            embeddings: the indexed column. Default: the only one.
            concurrently: let others write meanwhile: ``colbert.reindex_concurrently``, which
                commits as it goes.
            retrain: train the centroids of plaid anew; else the index is built from those it has.

        Raises:
            ValueError: as of :meth:`create_index`.
        """
        made = procedure if concurrently else call
        yield made(
            "reindex_concurrently" if concurrently else "reindex",
            source=source,
            embeddings=embeddings,
            retrain=None if retrain else False,
        )

    @operation
    def abandon_reindex(self, source: str, embeddings: str | None = None) -> Steps[None]:
        """Give up a concurrent reindex that was interrupted: ``colbert.abandon_reindex``."""
        yield call("abandon_reindex", source=source, embeddings=embeddings)

    @operation
    def maintain(self) -> Steps[None]:
        """Do what is due for all of the role's indexes: ``colbert.maintain``.

        Stale ones are built anew beside their writers, and broken ones mended, with a commit after
        each step. What cannot be maintained is a warning of the server: see psycopg's
        ``add_notice_handler``.

        Raises:
            ValueError: on a connection that is in a transaction, or would begin one.
        """
        yield procedure("maintain")

    @operation
    def check_index(
        self, source: str, embeddings: str | None = None, *, sample: float = 1
    ) -> Steps[list[Problem]]:
        """Every difference between an index and its source: ``colbert.check_index``.

        Args:
            source: the table.
            embeddings: the indexed column. Default: the only one.
            sample: the share of the documents that is compared, others each time.
        """
        rows = yield call(
            "check_index",
            "r.problem, r.doc_id, r.detail",
            source=source,
            embeddings=embeddings,
            sample=Cast(sample, "pg_catalog.float8"),
        )
        return [Problem(*row) for row in rows]

    @operation
    def repair_index(self, source: str, embeddings: str | None = None) -> Steps[int]:
        """Mend those differences; returns the number of documents: ``colbert.repair_index``."""
        ((mended,),) = yield call("repair_index", source=source, embeddings=embeddings)
        return int(mended)

    @operation
    def measure_recall(
        self,
        source: str,
        queries: str | None = None,
        *,
        k: int = 10,
        sample: int = 50,
        candidates: int | None = None,
        embeddings: str | None = None,
        query_column: str | None = None,
        filter: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Steps[Recall]:
        """Recall and latency of an index against exact search: ``colbert.measure_recall``.

        Args:
            source: the table.
            queries: a table or view with a column of token-vector arrays. Default: queries drawn
                from the documents.
            k: of how many best documents a share is found.
            sample: how many of the queries are tried; each is searched exactly, too.
            candidates: as in :meth:`search`.
            embeddings: the indexed column. Default: the only one.
            query_column: the column of ``queries``. Default: the only one of its type.
            filter, params: of the searches, as in :meth:`search`.
        """
        ((*row,),) = yield call(
            "measure_recall",
            source=source,
            queries=queries,
            k=k,
            sample=sample,
            candidates=candidates,
            embeddings=embeddings,
            query_column=query_column,
            filter=filter,
            params=params,
        )
        return Recall(*row)

    @operation
    def tune(
        self,
        source: str,
        target_recall: float = 0.95,
        queries: str | None = None,
        *,
        k: int = 10,
        sample: int = 50,
        embeddings: str | None = None,
        query_column: str | None = None,
        filter: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Steps[list[Trial]]:
        """Try settings, keep the fastest that reaches the target: ``colbert.tune``.

        Args:
            source: the table.
            target_recall: the share of the best documents that is to be found.
            queries, k, sample, embeddings, query_column, filter, params: as in
                :meth:`measure_recall`.

        Returns:
            What was tried, fastest first. None of them is chosen where none reaches the target.
        """
        rows = yield call(
            "tune",
            source=source,
            target_recall=target_recall,
            queries=queries,
            k=k,
            sample=sample,
            embeddings=embeddings,
            query_column=query_column,
            filter=filter,
            params=params,
        )
        return [Trial(*row) for row in rows]

    @operation
    def indexes(self) -> Steps[list[dict[str, Any]]]:
        """All indexes of the database: a dict per row of the view ``colbert.indexes``."""
        yield from self._known.vector_types()
        rows = yield Query(sql.SQL(view_sql("indexes")), {})
        return [row[0] for row in rows]
