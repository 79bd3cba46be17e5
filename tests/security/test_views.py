"""Views for everybody run nobody else's code: what is another owner's is not read for them."""

from collections.abc import Callable

import psycopg
import pytest

from tests.servers import as_role
from tests.sql.documents import run

VIEWS = ("indexes", "pending", "failures", "workers")

PLANT = """
    CREATE SCHEMA mallory AUTHORIZATION {role};
    SET ROLE {role};
    CREATE TABLE mallory.caught (reader text);
    GRANT INSERT ON mallory.caught TO PUBLIC;
    CREATE FUNCTION mallory.catch() RETURNS bool LANGUAGE plpgsql AS $$
      BEGIN INSERT INTO mallory.caught VALUES (current_user); RETURN true; END $$;
    GRANT USAGE ON SCHEMA mallory TO PUBLIC;
    CREATE TABLE mallory.documents (id int PRIMARY KEY, content text, embeddings vector(3)[]);
    INSERT INTO mallory.documents (id, content) VALUES (1, 'x');
    SELECT colbert.create_index('mallory.documents', method => 'plaid',
                                options => '{{"text": "content"}}');
    SELECT colbert.claim_pending('mallory.documents');
    SELECT colbert.report_failure('mallory.documents', '1', 'x', 'failed');
    GRANT SELECT ON mallory.documents TO PUBLIC;
"""

ATTACKS = {
    "view": (
        """
        DO $$
        DECLARE
          _index colbert._index;
          _view text;
        BEGIN
          SELECT i.* INTO _index FROM colbert._index AS i;
          FOR _place IN 1 .. cardinality(_index.tables) LOOP
            _view := format('mallory.view_%s', _place);
            EXECUTE format('CREATE VIEW %s AS SELECT * FROM %s AS t '
                           'RIGHT JOIN mallory.catch() AS caught ON true',
                           _view, _index.tables[_place]);
            EXECUTE format('COMMENT ON VIEW %s IS %L', _view, colbert._derived_comment(_index));
            EXECUTE format('GRANT SELECT ON %s TO PUBLIC', _view);
            _index.tables[_place] := _view::regclass;
          END LOOP;
          UPDATE colbert._index AS i SET tables = _index.tables;
        END $$
        """,
        "SELECT * FROM mallory.view_1",
    ),
    "policy": (
        """
        ALTER TABLE mallory.documents ENABLE ROW LEVEL SECURITY;
        CREATE POLICY catching ON mallory.documents USING (mallory.catch())
        """,
        "SELECT FROM mallory.documents",
    ),
    "type": (
        """
        CREATE TYPE mallory.odd AS ENUM ('yes');
        CREATE FUNCTION mallory.caught(mallory.odd) RETURNS bool LANGUAGE sql
          AS 'SELECT mallory.catch()';
        CREATE CAST (mallory.odd AS bool) WITH FUNCTION mallory.caught(mallory.odd) AS IMPLICIT;
        ALTER TABLE mallory.documents_embeddings_centroids
          ALTER trained TYPE mallory.odd USING 'yes';
        INSERT INTO mallory.documents_embeddings_centroids (centroid, trained)
        VALUES ('[1,0,0]', 'yes');
        GRANT SELECT ON mallory.documents_embeddings_centroids TO PUBLIC
        """,
        "SELECT FROM mallory.documents_embeddings_centroids WHERE trained",
    ),
    "expression": (
        """
        CREATE FUNCTION mallory.pass(text) RETURNS text IMMUTABLE LANGUAGE plpgsql
          AS 'BEGIN PERFORM mallory.catch(); RETURN $1; END';
        SELECT colbert.drop_index('mallory.documents');
        SELECT colbert.create_index('mallory.documents', method => 'plaid',
                                    options => '{"text": "mallory.pass(content)"}');
        SELECT colbert.claim_pending('mallory.documents');
        SELECT colbert.report_failure('mallory.documents', '1', 'x', 'failed');
        TRUNCATE mallory.caught
        """,
        "SELECT colbert.document_text('mallory.documents', '1')",
    ),
}
"""What an owner prepares, and who reads that is caught."""


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_view_for_everybody_runs_nothing_of_an_owner(
    own_connection: psycopg.Connection, database: str, new_role: Callable[[], str], attack: str
) -> None:
    owner, reader = new_role(), new_role()
    prepared, caught_by = ATTACKS[attack]
    run(own_connection, PLANT.format(role=owner))
    run(own_connection, prepared)
    run(own_connection, "RESET ROLE")
    own_connection.commit()
    for who in (database, as_role(database, reader)):
        with psycopg.connect(who) as other:
            for view in VIEWS:
                run(other, f"SELECT * FROM colbert.{view}")
            assert run(other, "SELECT pending FROM colbert.pending") == [(None,)]
            assert run(other, "SELECT method FROM colbert.indexes") == [("plaid",)]
        assert run(own_connection, "SELECT reader FROM mallory.caught") == []
    if attack == "policy":
        run(own_connection, f"SET ROLE {reader}")
    run(own_connection, caught_by)
    run(own_connection, "RESET ROLE")
    assert run(own_connection, "SELECT count(*) > 0 FROM mallory.caught") == [(True,)]
