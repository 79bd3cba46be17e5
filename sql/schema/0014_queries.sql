-- 0.3.0: queries that workers encode
CREATE TABLE colbert._query (
  id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
  index_id integer NOT NULL REFERENCES colbert._index ON DELETE CASCADE,
  role name NOT NULL DEFAULT current_user,
  digest bytea NOT NULL,
  model jsonb NOT NULL,
  query_text text NOT NULL,
  asked_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  expires_at timestamptz NOT NULL,
  claimed_until timestamptz,
  encoded_at timestamptz,
  vectors vector[],
  error text,
  UNIQUE (index_id, role, digest)
);
CREATE INDEX _query_waiting ON colbert._query (index_id, asked_at) WHERE encoded_at IS NULL;
CREATE INDEX _query_kept ON colbert._query (index_id, encoded_at);
ALTER TABLE colbert._query ALTER COLUMN vectors SET STORAGE EXTERNAL;

COMMENT ON TABLE colbert._query IS
  'Queries that workers encode, and the vectors of those that they have encoded. Not a public interface: call encode_query and encoded_query.';
COMMENT ON COLUMN colbert._query.index_id IS 'The index for which the query was asked.';
COMMENT ON COLUMN colbert._query.role IS 'The role that asked, which alone reads the row beside the workers.';
COMMENT ON COLUMN colbert._query.digest IS 'Stands for model and text: see the function colbert._query_digest.';
COMMENT ON COLUMN colbert._query.model IS 'The model of the index at that time.';
COMMENT ON COLUMN colbert._query.query_text IS 'The text of the query.';
COMMENT ON COLUMN colbert._query.asked_at IS 'When it was asked.';
COMMENT ON COLUMN colbert._query.expires_at IS 'Until when somebody waits for it.';
COMMENT ON COLUMN colbert._query.claimed_until IS 'Until when a worker is at it; NULL while none was.';
COMMENT ON COLUMN colbert._query.encoded_at IS 'When a worker answered.';
COMMENT ON COLUMN colbert._query.vectors IS 'Its token vectors, once a worker has stored them.';
COMMENT ON COLUMN colbert._query.error IS 'Why it cannot be encoded.';

CREATE TABLE colbert._query_worker (
  index_id integer NOT NULL REFERENCES colbert._index ON DELETE CASCADE,
  role name NOT NULL,
  PRIMARY KEY (index_id, role)
);

COMMENT ON TABLE colbert._query_worker IS
  'The roles that may encode the queries of others, beside the owner of the table. Not a public interface: call allow_query_worker.';
COMMENT ON COLUMN colbert._query_worker.index_id IS 'The index.';
COMMENT ON COLUMN colbert._query_worker.role IS 'The role.';

-- Everybody may read who is named; the owner of the table names them.
ALTER TABLE colbert._query_worker ENABLE ROW LEVEL SECURITY;
CREATE POLICY read ON colbert._query_worker FOR SELECT USING (true);
CREATE POLICY write ON colbert._query_worker
  USING (EXISTS (SELECT FROM colbert._index AS i
                   JOIN pg_catalog.pg_class AS c ON c.oid = i.source
                  WHERE i.id = index_id AND pg_catalog.pg_has_role(c.relowner, 'USAGE')));
GRANT SELECT, INSERT, DELETE ON colbert._query_worker TO PUBLIC;

-- A role writes and reads queries of its own, for indexes whose arrays it may read. Those of others are read, answered
-- and cleared away by the owner of the table and by the roles that the owner has named.
ALTER TABLE colbert._query ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON colbert._query
  USING (role = current_user)
  WITH CHECK (role = current_user
              AND EXISTS (SELECT FROM colbert._index AS i
                           WHERE i.id = index_id
                             AND pg_catalog.has_column_privilege(i.source, i.embeddings, 'SELECT')));
CREATE POLICY work ON colbert._query
  USING (index_id IN (SELECT i.id
                        FROM colbert._index AS i
                        JOIN pg_catalog.pg_class AS c ON c.oid = i.source
                       WHERE pg_catalog.pg_has_role(c.relowner, 'USAGE')
                          OR EXISTS (SELECT FROM colbert._query_worker AS w
                                      WHERE w.index_id = i.id AND w.role = current_user)));

-- Nobody chooses the role of a row, or gives it to another.
GRANT SELECT, DELETE ON colbert._query TO PUBLIC;
GRANT INSERT (index_id, digest, model, query_text, expires_at),
      UPDATE (asked_at, expires_at, claimed_until, encoded_at, vectors, error) ON colbert._query TO PUBLIC;
