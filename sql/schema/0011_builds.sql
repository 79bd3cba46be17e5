-- 0.3.0: indexes that are built beside their writers
CREATE TABLE colbert._build (
  index_id integer PRIMARY KEY REFERENCES colbert._index ON DELETE CASCADE,
  method text NOT NULL,
  checks boolean NOT NULL,
  keeps boolean NOT NULL DEFAULT false,
  phase text NOT NULL DEFAULT 'starting'
    CHECK (phase IN ('starting', 'checking', 'filling', 'catching up', 'retiring')),
  step integer NOT NULL DEFAULT 0,
  steps integer NOT NULL DEFAULT 0,
  tables regclass[] NOT NULL DEFAULT '{}',
  table_names text[] NOT NULL DEFAULT '{}',
  transactions text[],
  pid integer NOT NULL DEFAULT pg_catalog.pg_backend_pid(),
  started_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

COMMENT ON TABLE colbert._build IS
  'One row for each index that is being built beside its writers. Not a public interface: read the view colbert.indexes.';
COMMENT ON COLUMN colbert._build.method IS 'The method that the index will have.';
COMMENT ON COLUMN colbert._build.checks IS
  'Whether the index is new, so that a bad document is an error; else it is left out.';
COMMENT ON COLUMN colbert._build.keeps IS
  'Whether parts of an index that have not outgrown it are taken over as they are.';
COMMENT ON COLUMN colbert._build.phase IS 'How far it is: see the function colbert._build_step.';
COMMENT ON COLUMN colbert._build.step IS 'How many steps of filling are done.';
COMMENT ON COLUMN colbert._build.steps IS 'How many there are.';
COMMENT ON COLUMN colbert._build.tables IS
  'The tables that are being filled; while retiring, those that the index had before.';
COMMENT ON COLUMN colbert._build.table_names IS 'Their names, one for each.';
COMMENT ON COLUMN colbert._build.transactions IS
  'The transactions that may still read the tables that are to go; NULL until they were listed.';
COMMENT ON COLUMN colbert._build.pid IS 'The process that worked on it last.';

-- Everybody may read; a row is written by the owner of the table that it is about.
ALTER TABLE colbert._build ENABLE ROW LEVEL SECURITY;
CREATE POLICY read ON colbert._build FOR SELECT USING (true);
CREATE POLICY write ON colbert._build
  USING (EXISTS (SELECT FROM colbert._index AS i
                   LEFT JOIN pg_catalog.pg_class AS c ON c.oid = i.source
                  WHERE i.id = index_id
                    AND pg_catalog.pg_has_role(c.relowner, 'USAGE') IS NOT FALSE))
  WITH CHECK (EXISTS (SELECT FROM colbert._index AS i
                        JOIN pg_catalog.pg_class AS c ON c.oid = i.source
                       WHERE i.id = index_id
                         AND pg_catalog.pg_has_role(c.relowner, 'USAGE')));

GRANT SELECT, INSERT, UPDATE, DELETE ON colbert._build TO PUBLIC;

DROP FUNCTION IF EXISTS colbert._plaid_build(colbert._index);
DROP FUNCTION IF EXISTS colbert._tokens_build(colbert._index);
DROP FUNCTION IF EXISTS colbert._plaid_few();
DROP FUNCTION IF EXISTS colbert._worth_workers(colbert._index);
DROP FUNCTION IF EXISTS colbert.check_index(regclass, name);
DROP FUNCTION IF EXISTS colbert._method_problems(colbert._index);
DROP FUNCTION IF EXISTS colbert._plaid_problems(colbert._index);
DROP FUNCTION IF EXISTS colbert._tokens_problems(colbert._index);
