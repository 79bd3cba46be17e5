-- To score a document takes about 0.2 ms. An index scan has to pass over documents / matching tokens for each hit, at
-- about 3 µs each. Both cost the same at about sqrt(30 * documents) matching documents.
CREATE OR REPLACE FUNCTION colbert._tokens_few(index colbert._index)
RETURNS float8
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN greatest(100, sqrt(30 * colbert._estimated_rows(index.source)));

COMMENT ON FUNCTION colbert._tokens_few(colbert._index) IS
  'How many matching documents cost as much to score as a search through pgvector''s index.';
