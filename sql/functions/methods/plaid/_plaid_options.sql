-- Options of plaid:
--
--   centroids    how many (default: _plaid_wanted_centroids)
--   nprobe       how many nearest centroids each query token probes, to the last posting (search/_effort.sql)
CREATE OR REPLACE FUNCTION colbert._plaid_options()
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN '{"centroids": "integer", "nprobe": "integer"}'::jsonb;

COMMENT ON FUNCTION colbert._plaid_options() IS 'The options of the method plaid.';
