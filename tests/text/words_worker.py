"""A worker as a process of its own, with the encoder of the tests: one line when it begins a batch.

    python -m tests.text.words_worker CONNINFO NAME [stuck]

With `stuck` it never ends the batch that it has begun.
"""

import sys
import threading
from collections.abc import Sequence

import psycopg

from colbert_pg.vectors import Matrix
from colbert_pg.worker import Worker
from tests.client.words import WordEncoder


class SlowEncoder(WordEncoder):
    """Says what it encodes, and gets stuck when it is told to."""

    def __init__(self, stuck: bool) -> None:
        super().__init__()
        self.stuck = stuck

    def encode_documents(self, texts: Sequence[str], *, progress: bool = False) -> list[Matrix]:
        print(len(texts), flush=True)
        if self.stuck:
            threading.Event().wait()
        return super().encode_documents(texts)


def main(conninfo: str, name: str, *how: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        worker = Worker(connection, SlowEncoder("stuck" in how), batch=8, name=name)
        print("ready", flush=True)
        worker.run(poll=600)


if __name__ == "__main__":
    main(*sys.argv[1:])
