"""Tenants of one table, of very unequal size: python -m benchmarks.tenants

The documents are descriptions of Debian's packages (benchmarks/collections.py), cut to 60 tokens,
and documents made of them (benchmarks/growth.py). One tenant has a third of all, and the others'
sizes fall with their rank, so that most have fewer than 50. Readers are a role whom row-level
security limits to one tenant, which a setting names.

Measured for a large, a middle and a small tenant: a default search under row-level security; the
same documents in a table of their own; exact search of both. And the bytes of the whole index, with
the option "tenant" and without, and what a search under row-level security takes without it. And
what maintain takes for a tenant that came later, beside building the index anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from statistics import mean, median

import numpy as np

from benchmarks.collections import named
from benchmarks.growth import more_documents
from benchmarks.harness import Connection, arguments, circumstances, running, table, timed
from benchmarks.measuring import Search, share_found, timed_search
from benchmarks.scifact import brute_force
from colbert_pg.client import Client
from colbert_pg.vectors import Matrix, TokenArray

RESULT = Path(__file__).resolve().parent / "results" / "tenants.txt"
TABLE = "benchmark_tenants"
OWN = "benchmark_tenant"
TOKENS = 60  # of a document, at most
REAL = 20_000  # documents of which others are made
CHUNK = 1000
K = 10
HEADER = [
    "tenant's documents", "ms", "in its own table", "ratio", "recall", "in its own table",
    "exact ms", "no option, ms", "times exact",
]  # fmt: skip


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--tenants", type=int, default=2000)
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()

    packages = named("packages", queries=options.queries)
    real = [document[:TOKENS] for document in packages.documents[:REAL]]
    sizes = _sizes(options.documents, options.tenants)
    chosen = [0, int(np.abs(sizes - 1000).argmin()), int(np.abs(sizes - 10).argmin())]
    with running(options.url) as server, server.connect() as owner, server.connect() as reader:
        client = Client(owner)
        documents = islice(chain(real, more_documents(real)), int(sizes.sum()))
        scores, tokens = _loaded(owner, client, documents, packages.queries, sizes, chosen)
        seconds = timed(
            lambda: client.create_index(TABLE, method="plaid", options={"tenant": "tenant_id"})
        )
        kept_apart = _index_bytes(owner)
        (parts,) = owner.execute(f"SELECT count(*) FROM {TABLE}_embeddings_tenants").fetchone() or (
            0,
        )
        notes = [
            f"{len(sizes):,} tenants, {parts:,} with a part of the index; {tokens:,} tokens",
            f"built at {tokens / seconds:,.0f} tokens/s, {kept_apart / tokens:.1f} bytes a token",
        ]
        reader.execute(f"SET ROLE {TABLE}_reader")
        rows = []
        for tenant in chosen:
            rows.append(_measured(owner, reader, client, packages.queries, scores[tenant], tenant))
            print("  ".join(rows[-1]), flush=True)
        notes.append(_upkeep(owner, client, len(scores[0]) // 5))
        client.drop_index(TABLE)
        seconds = timed(lambda: client.create_index(TABLE, method="plaid", key="document"))
        notes.append(
            f"without the option {tokens / seconds:,.0f} tokens/s,"
            f" {_index_bytes(owner) / tokens:.1f} bytes a token"
        )
        for row, tenant in zip(rows, chosen, strict=True):
            row += _without_option(reader, packages.queries, tenant)
        text = "\n".join([circumstances(owner), *notes, "", table(HEADER, rows)])
        print(text)
        options.output.write_text(f"{text}\n", encoding="utf-8")


def _sizes(documents: int, tenants: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How many documents each tenant has, the largest first."""
    largest = documents // 3
    shares = 1 / np.arange(1, tenants)
    others = np.maximum(1, (documents - largest) * shares / shares.sum()).astype(np.int64)
    return np.concatenate([[largest], others])


def _loaded(
    owner: Connection,
    client: Client,
    documents: Iterator[Matrix],
    queries: list[Matrix],
    sizes: np.ndarray[tuple[int], np.dtype[np.int64]],
    chosen: list[int],
) -> tuple[dict[int, Matrix], int]:
    """The scores of the chosen tenants' documents with all queries, and the number of tokens.

    Documents come to tenants at random, so that all tenants are alike but for their size.
    """
    owner.execute(
        f"DROP TABLE IF EXISTS {TABLE} CASCADE;"
        f"CREATE TABLE {TABLE} (tenant_id bigint NOT NULL, id bigint NOT NULL,"
        "  document bigint NOT NULL UNIQUE, embeddings halfvec(128)[],"
        "  PRIMARY KEY (tenant_id, id));"
        f"ALTER TABLE {TABLE} ALTER embeddings SET STORAGE EXTERNAL, ENABLE ROW LEVEL SECURITY;"
        f"CREATE POLICY own ON {TABLE} USING (tenant_id = current_setting('app.tenant')::bigint);"
        f"DROP ROLE IF EXISTS {TABLE}_reader; CREATE ROLE {TABLE}_reader;"
        f"GRANT SELECT ON {TABLE} TO {TABLE}_reader"
    )
    whose = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    scores: dict[int, list[Matrix]] = {tenant: [] for tenant in chosen}
    tokens = start = 0
    while some := list(islice(documents, CHUNK)):
        tenants = whose[start : start + len(some)]
        keys = range(start, start + len(some))
        columns = {"tenant_id": tenants.tolist(), "document": list(keys)}
        client.add(TABLE, keys=keys, key_column="id", columns=columns, embeddings=some)
        for tenant in chosen:
            if mine := [d for d, t in zip(some, tenants, strict=True) if t == tenant]:
                scores[tenant].append(brute_force(mine, queries))
        start += len(some)
        tokens += sum(map(len, some))
    owner.execute(f"VACUUM ANALYZE {TABLE}")
    return {tenant: np.concatenate(found) for tenant, found in scores.items()}, tokens


def _measured(
    owner: Connection,
    reader: Connection,
    client: Client,
    queries: list[Matrix],
    scores: Matrix,
    tenant: int,
) -> list[str]:
    owner.execute(
        f"DROP TABLE IF EXISTS {OWN};"
        f"CREATE TABLE {OWN} (id bigint PRIMARY KEY, embeddings halfvec(128)[]);"
        f"ALTER TABLE {OWN} ALTER embeddings SET STORAGE EXTERNAL;"
        f"INSERT INTO {OWN} SELECT id, embeddings FROM {TABLE} WHERE tenant_id = {tenant}"
    )
    owner.execute(f"VACUUM ANALYZE {OWN}")
    client.create_index(OWN, method="plaid")
    reader.execute(f"SET app.tenant = {tenant}")
    searches = [(reader, Search(TABLE, K)), (owner, Search(OWN, K))]
    seconds: list[list[float]] = [[], []]
    recall: list[list[float]] = [[], []]
    exact = []
    for number, query in enumerate(queries):
        for connection, search in searches:
            search.scores(connection, query)  # warms what it reads
        for i, (connection, search) in enumerate(searches):
            took, found = timed_search(search, connection, query)
            seconds[i].append(took)
            recall[i].append(share_found(scores[:, number], found, K))
        if number < 5:
            exact.append(_exact(reader, query))
    client.drop_index(OWN)
    own, alone = median(seconds[0]), median(seconds[1])
    return [
        f"{len(scores):,}", f"{1e3 * own:.1f}", f"{1e3 * alone:.1f}", f"{own / alone:.2f}",
        f"{mean(recall[0]):.3f}", f"{mean(recall[1]):.3f}", f"{1e3 * median(exact):.1f}",
    ]  # fmt: skip


def _upkeep(owner: Connection, client: Client, documents: int) -> str:
    """What is due after a tenant has come of whom the index has no part."""
    owner.execute(
        f"INSERT INTO {TABLE} SELECT -1, id, -1 - document, embeddings FROM {TABLE}"
        f" WHERE tenant_id = 0 LIMIT {documents}"
    )
    assert _state(owner) == "stale"
    seconds = timed(client.maintain)
    assert _state(owner) == "ready"
    anew = timed(lambda: client.reindex(TABLE, concurrently=True))
    owner.execute(f"DELETE FROM {TABLE} WHERE tenant_id = -1")
    return (
        f"after a tenant of {documents:,} documents has come: maintain {seconds:,.1f} s,"
        f" reindex_concurrently {anew:,.1f} s"
    )


def _without_option(reader: Connection, queries: list[Matrix], tenant: int) -> list[str]:
    reader.execute(f"SET app.tenant = {tenant}")
    search = Search(TABLE, K)
    seconds, exact = [], []
    for query in queries[:5]:
        search.scores(reader, query)
        seconds.append(timed_search(search, reader, query)[0])
        exact.append(_exact(reader, query))
    return [f"{1e3 * median(seconds):.1f}", f"{median(seconds) / median(exact):.2f}"]


def _exact(reader: Connection, query: Matrix) -> float:
    statement = f"SELECT score FROM colbert.search('{TABLE}', %s, k => {K}, exact => true)"
    return timed(lambda: reader.execute(statement, [TokenArray(query)]).fetchall())


def _state(owner: Connection) -> str:
    ((state,),) = owner.execute(
        "SELECT state FROM colbert.indexes WHERE source = %s::regclass", [TABLE]
    ).fetchall()
    return str(state)


def _index_bytes(owner: Connection) -> int:
    ((size,),) = owner.execute(
        "SELECT index_bytes FROM colbert.indexes WHERE source = %s::regclass", [TABLE]
    ).fetchall()
    return int(size)


if __name__ == "__main__":
    main()
