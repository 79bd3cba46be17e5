-- A million less than an integer can be (_plaid_put).
CREATE OR REPLACE FUNCTION colbert._plaid_last_ordinal()
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN 2146483647;

COMMENT ON FUNCTION colbert._plaid_last_ordinal() IS
  'The last ordinal that a document may get.';
