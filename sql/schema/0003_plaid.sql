-- 0.2.0: the method plaid, and samples of queries to tune with
ALTER TABLE colbert._index
  DROP CONSTRAINT _index_method_check,
  ADD CONSTRAINT _index_method_check CHECK (method IN ('exact', 'hnsw', 'ivfflat', 'plaid'));
DROP FUNCTION IF EXISTS colbert._keys_in_scope(colbert._index, colbert._scope, text[]);

CREATE TYPE colbert._sample AS (
  query vector[],
  drawn_from text,
  best float8[]
);

COMMENT ON TYPE colbert._sample IS 'A query to measure an index with: see the function colbert._draw_sample.';
COMMENT ON COLUMN colbert._sample.drawn_from IS
  'The key, as text, of the document whose tokens the query is; NULL for a query of the caller''s.';
COMMENT ON COLUMN colbert._sample.best IS 'The scores that exact search finds, best first.';
