CREATE OR REPLACE FUNCTION colbert._plaid_clear(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_clear$
BEGIN
  EXECUTE format('TRUNCATE %s, %s RESTART IDENTITY', colbert._derived_table(index, 'postings'), colbert._derived_table(index, 'documents'));
END
$_plaid_clear$;

COMMENT ON FUNCTION colbert._plaid_clear(colbert._index) IS 'Takes all documents out; the centroids stay.';
