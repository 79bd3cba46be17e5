-- Fewer centroids than these have an index that grows with them; more are worth training lists for.
CREATE OR REPLACE FUNCTION colbert._plaid_few_centroids()
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN 1000;

COMMENT ON FUNCTION colbert._plaid_few_centroids() IS
  'The number of centroids below which they count as few.';
