-- Few centroids may grow to many, and are not worth training lists for.
CREATE OR REPLACE FUNCTION colbert._plaid_few()
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN 1000;

COMMENT ON FUNCTION colbert._plaid_few() IS
  'Below how many centroids they count as few.';
