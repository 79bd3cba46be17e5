"""Queries in text, over SQL alone: who asks, who answers, what is kept, and what goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from colbert_pg import Client, Worker
from colbert_pg.encoding import TruncationWarning
from tests.client.words import WordEncoder
from tests.servers import as_role
from tests.sql.documents import hint, refusal, run
from tests.waiting import wait_for

Connection = psycopg.Connection[Any]
CONTENTS = ["a cat sat on the mat", "the dog chased the cat", "stocks fell on monday"]


class Reader(WordEncoder):
    """Reads three words of a query, and refuses some."""

    def encode_queries(self, texts: Any) -> Any:
        import warnings

        for text in texts:
            if "bad" in text:
                raise ValueError(f"cannot read {text!r}")
        if long := [place for place, text in enumerate(texts) if len(text.split()) > 9]:
            warnings.warn(TruncationWarning("query", long, 9, len(texts)), stacklevel=2)
        return super().encode_queries(texts)


@pytest.fixture
def asking(database: str) -> Iterator[Connection]:
    """A connection in autocommit mode; table documents has three texts and the model's vectors."""
    with psycopg.connect(database, autocommit=True) as connection:
        run(
            connection,
            "CREATE TABLE documents (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            " content text, embeddings vector(32)[])",
        )
        client = Client(connection, Reader())
        client.create_index("documents", options={"text": "content"})
        client.add("documents", CONTENTS)
        yield connection


@contextmanager
def working(conninfo: str, encoder: Any = None, **options: Any) -> Iterator[Worker]:
    """A worker that runs meanwhile, in a thread of its own."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        worker = Worker(connection, encoder or Reader(), maintain=False, **options)
        thread = threading.Thread(target=worker.run, args=(0.2,))
        thread.start()
        try:
            yield worker
        finally:
            worker._stopping = True
            thread.join()


def ask(connection: Connection, text: str, more: str = "") -> Any:
    ((vectors,),) = run(connection, f"CALL colbert.encode_query(%s, 'documents'{more})", text)
    return vectors


def refused_call(connection: Connection, arguments: str) -> psycopg.Error:
    """The error of a CALL, which commits: not inside a transaction, as refusal does it."""
    with pytest.raises(psycopg.Error) as raised:
        run(connection, f"CALL colbert.encode_query({arguments})")
    return raised.value


def found(connection: Connection, text: str, more: str = "") -> list[Any]:
    statement = f"SELECT doc_id FROM colbert.search_text('documents', %s{more}, k => 1)"
    return [row[0] for row in run(connection, statement, text)]


def rows(connection: Connection) -> int:
    ((number,),) = run(connection, "SELECT count(*) FROM colbert._query")
    return int(number)


def test_a_question_is_asked_once_and_searched_with_ever_after(
    asking: Connection, database: str
) -> None:
    with working(database):
        vectors = ask(asking, "a dog")
    again = ask(asking, "a dog", ", timeout => '1 ms'")  # without a worker
    assert vectors == again is not None
    assert found(asking, "a dog") == [2]
    assert found(asking, "a dog", ", key => NULL::text") == ["2"]
    ((best, rank),) = run(
        asking,
        "SELECT doc_id, maxsim_rank FROM colbert.hybrid_search_text('documents', 'a dog', k => 1)",
    )
    assert (best, rank) == (2, 1)


def test_uuid_keys_have_a_form_of_their_own(asking: Connection, database: str) -> None:
    run(
        asking,
        "CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), content text,"
        " embeddings vector(32)[])",
    )
    client = Client(asking, Reader())
    client.create_index("notes", options={"text": "content"})
    client.add("notes", CONTENTS)
    with working(database):
        run(asking, "CALL colbert.encode_query('a dog', 'notes')")
    for function in ("search_text", "hybrid_search_text"):
        ((content,),) = run(
            asking,
            "SELECT n.content FROM notes n WHERE n.id ="
            f" (SELECT doc_id FROM colbert.{function}('notes', 'a dog', NULL::uuid, k => 1))",
        )
        assert content == CONTENTS[1]
    ((text,),) = run(
        asking,
        "SELECT h.doc_id = id::text FROM colbert.hybrid_search_text('notes', 'a dog',"
        " key => NULL::text, k => 1) h JOIN notes n ON n.id = h.doc_id::uuid",
    )
    assert text


def test_inside_a_transaction_a_request_is_answered_after_the_commit(
    asking: Connection, database: str
) -> None:
    with working(database), psycopg.connect(database) as client:
        run(client, "SELECT 1")
        refused = refusal(client, "CALL colbert.encode_query('a dog', 'documents')")
        assert refused.sqlstate == "2D000"
        asked = "SELECT colbert.request_query('a dog', 'documents')"
        assert run(client, asked) == [(False,)]
        early = refusal(client, "SELECT colbert.search_text('documents', 'a dog')")
        assert early.sqlstate == "55000"
        assert "request_query" in (hint(early) or "")
        client.commit()
        wait_for(lambda: run(asking, asked) == [(True,)], "an answer")
        assert found(client, "a dog") == [2]


def test_without_a_worker_it_is_an_error_after_the_timeout_and_nothing_is_left(
    asking: Connection,
) -> None:
    error = refused_call(asking, "'a dog', 'documents', '20 ms'")
    assert (error.sqlstate, rows(asking)) == ("57014", 0)
    assert "allow_query_worker" in (hint(error) or "")


def test_a_worker_that_takes_a_question_and_dies_is_an_error_after_the_timeout(
    asking: Connection, database: str
) -> None:
    with psycopg.connect(database, autocommit=True) as client:
        caught: list[psycopg.Error] = []

        def wait() -> None:
            try:
                run(client, "CALL colbert.encode_query('a dog', 'documents', '500 ms')")
            except psycopg.Error as error:
                caught.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        claim = "SELECT query_text FROM colbert.claim_queries('documents')"
        wait_for(lambda: run(asking, claim) == [("a dog",)], "a question")
        thread.join()
    assert "not answered" in str(caught[0])
    assert rows(asking) == 0


def test_what_a_dead_worker_had_taken_is_answered_by_another_one(
    asking: Connection, database: str
) -> None:
    run(asking, "SELECT colbert.request_query('a dog', 'documents')")
    claim = "SELECT query_text FROM colbert.claim_queries('documents', lease => '1 ms')"
    assert run(asking, claim) == [("a dog",)]
    with working(database):
        ask(asking, "a dog")
    assert found(asking, "a dog") == [2]


def test_one_bad_question_spoils_no_other(asking: Connection, database: str) -> None:
    for text in ("bad", "a dog", "many " * 10):
        run(asking, "SELECT colbert.request_query(%s, 'documents')", text)
    with working(database):
        ask(asking, "a dog")
        error = refused_call(asking, "'bad', 'documents'")
        assert (error.sqlstate, "cannot read" in str(error)) == ("38000", True)
        error = refused_call(asking, f"'{'many ' * 10}', 'documents'")
        assert "longer than the model reads" in str(error)


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("SELECT colbert.search_text('documents', ' ')", "22023"),
        ("SELECT colbert.search_text('documents', NULL)", "22023"),
        ("SELECT colbert.request_query(repeat('a ', 20000), 'documents')", "22023"),
        ("SELECT colbert.request_query('a', 'documents', '0 s')", "22023"),
        ("SELECT colbert.request_query('a', 'documents', NULL)", "22023"),
        ("SELECT colbert.request_query('a', 'nothing')", "42P01"),
        ("SELECT colbert.request_query('a', 'other')", "55000"),
        ("SELECT colbert.request_query('a', 'unread')", "55000"),
        ("SELECT colbert.claim_queries('documents', batch => 0)", "22023"),
    ],
)
def test_what_cannot_be_asked(asking: Connection, statement: str, sqlstate: str) -> None:
    for name, options in (("other", "{}"), ("unread", '{"text": "content"}')):
        run(
            asking,
            f"CREATE TABLE {name} (id bigint PRIMARY KEY, content text, embeddings vector(3)[]);"
            f"SELECT colbert.create_index('{name}', options => '{options}')",
        )
    error = refusal(asking, statement)
    assert error.sqlstate == sqlstate
    assert sqlstate == "42P01" or hint(error)


def test_where_nothing_can_be_written_what_was_kept_is_found_and_nothing_asked(
    asking: Connection, database: str
) -> None:
    with working(database):
        ask(asking, "a dog")
    run(asking, "SET default_transaction_read_only = on")
    assert ask(asking, "a dog") is not None
    assert found(asking, "a dog") == [2]
    error = refused_call(asking, "'a cat', 'documents'")
    assert (error.sqlstate, hint(error) is not None) == ("25006", True)


def test_a_question_of_another_model_is_not_used_and_goes(
    asking: Connection, database: str
) -> None:
    with working(database):
        ask(asking, "a dog")
    run(asking, """UPDATE colbert._index SET options = options || '{"model": {"name": "new"}}'""")
    assert refusal(asking, "SELECT colbert.search_text('documents', 'a dog')").sqlstate == "55000"
    assert run(asking, "SELECT colbert.forget_queries('documents')") == [(1,)]
    assert rows(asking) == 0


def test_old_questions_go_and_the_newest_stay(asking: Connection, database: str) -> None:
    with working(database):
        for text in ("one", "two", "three"):
            ask(asking, text)
    assert run(asking, "SELECT colbert.forget_queries('documents')") == [(0,)]
    assert run(asking, "SELECT colbert.forget_queries('documents', keep => 2)") == [(1,)]
    assert refusal(asking, "SELECT colbert.encoded_query('one', 'documents')").sqlstate == "55000"
    assert run(asking, "SELECT colbert.forget_queries('documents', age => '0 s')") == [(2,)]


def test_what_a_client_that_disconnects_has_asked_goes(asking: Connection, database: str) -> None:
    client = psycopg.connect(database, autocommit=True)
    run(client, "SELECT colbert.request_query('a dog', 'documents', '1 ms')")
    client.close()
    run(asking, "SELECT pg_sleep(0.01)")
    assert run(asking, "SELECT colbert.claim_queries('documents')") == []
    run(asking, "SELECT colbert.request_query('a cat', 'documents', '1 ms')")
    assert run(asking, "SELECT query_text FROM colbert._query") == [("a cat",)]
    run(asking, "SELECT pg_sleep(0.01)")
    assert run(asking, "SELECT colbert.forget_queries('documents')") == [(1,)]


def test_each_role_reads_its_own_questions_and_a_stranger_cannot_answer(
    asking: Connection, database: str, new_role: Callable[[], str]
) -> None:
    reader, other, encoder = new_role(), new_role(), new_role()
    run(asking, f"GRANT SELECT ON documents TO {reader}, {other}, {encoder}")
    run(asking, f"GRANT UPDATE ON documents TO {encoder}")
    with (
        psycopg.connect(as_role(database, reader), autocommit=True) as asks,
        psycopg.connect(as_role(database, other), autocommit=True) as looks,
        psycopg.connect(as_role(database, encoder), autocommit=True) as works,
    ):
        run(asks, "SELECT colbert.request_query('a dog', 'documents')")
        for stranger in (looks, works):
            assert rows(stranger) == 0
            assert run(stranger, "SELECT colbert.claim_queries('documents')") == []
        ((asked,),) = run(asking, "SELECT id FROM colbert._query")
        store = "SELECT colbert.store_query(%s, array_fill('[1]'::vector, ARRAY[1]))"
        assert run(works, store, asked) == [(False,)]
        fail = "SELECT colbert.report_query_failure(%s, 'no')"
        assert run(works, fail, asked) == [(False,)]
        name = f"SELECT colbert.allow_query_worker('documents', '{encoder}'"
        assert refusal(works, name + ")").sqlstate == "42501"
        run(asking, name + ")")
        with working(as_role(database, encoder)):
            ask(asks, "a dog")
        assert found(asks, "a dog") == [2]
        assert (rows(looks), rows(asks), rows(works)) == (0, 1, 1)
        assert refusal(works, f"UPDATE colbert._query SET role = '{other}'").sqlstate == "42501"
        assert (
            refusal(looks, "SELECT colbert.search_text('documents', 'a dog')").sqlstate == "55000"
        )
        run(asking, name + ", allowed => false)")
        assert rows(works) == 0
        plant = "INSERT INTO colbert._query_worker SELECT id, current_user FROM colbert._index"
        assert refusal(looks, plant).sqlstate == "42501"
        run(asking, f"REVOKE SELECT ON documents FROM {reader}")
        asked = "SELECT colbert.request_query('else', 'documents')"
        assert refusal(asks, asked).sqlstate == "42501"


def test_eight_clients_are_answered_by_two_workers(asking: Connection, database: str) -> None:
    answers: list[Any] = []

    def client(number: int) -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            for turn in range(5):
                answers.append(ask(connection, f"dog {number} {turn}", ", timeout => '60 s'"))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    with working(database), working(database):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == 40
    assert rows(asking) == 40


def test_a_question_is_answered_between_two_batches_of_documents(
    asking: Connection, database: str
) -> None:
    class Slow(Reader):
        def encode_documents(self, texts: Any, *, progress: bool = False) -> Any:
            begun.set()
            assert go_on.wait(600)
            order.append("documents")
            return super().encode_documents(texts)

        def encode_queries(self, texts: Any) -> Any:
            order.append("query")
            return super().encode_queries(texts)

    begun, go_on, order = threading.Event(), threading.Event(), list[str]()
    run(asking, "INSERT INTO documents (content) SELECT 'text ' || n FROM generate_series(1, 2) n")
    with working(database, Slow(), batch=1):
        assert begun.wait(600)
        run(asking, "SELECT colbert.request_query('a dog', 'documents')")
        go_on.set()
        wait_for(lambda: len(order) == 3, "all")
    assert order == ["documents", "query", "documents"]
