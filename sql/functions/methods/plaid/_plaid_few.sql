-- Few centroids are compared one by one fast enough.
CREATE OR REPLACE FUNCTION colbert._plaid_few()
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN 1000;

COMMENT ON FUNCTION colbert._plaid_few() IS
  'The number of centroids below which pgvector''s index on them is not worth having.';
