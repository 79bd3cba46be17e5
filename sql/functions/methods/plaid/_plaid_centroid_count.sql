CREATE OR REPLACE FUNCTION colbert._plaid_centroid_count(
  index colbert._index, OUT trained integer, OUT grown integer)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_centroid_count$
BEGIN
  EXECUTE format('SELECT count(*) FILTER (WHERE c.trained), count(*) FILTER (WHERE NOT c.trained) FROM %s AS c',
                 colbert._derived_table(index, 'centroids'))
     INTO trained, grown;
END
$_plaid_centroid_count$;

COMMENT ON FUNCTION colbert._plaid_centroid_count(colbert._index) IS
  'How many centroids were trained, and how many have come in since.';
