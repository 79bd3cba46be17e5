-- The documents were mended before. Postings of no document go, and pgvector's index comes back.
CREATE OR REPLACE FUNCTION colbert._plaid_mend(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_mend$
BEGIN
  EXECUTE format('DELETE FROM %s AS p WHERE NOT EXISTS (SELECT FROM %s AS d WHERE d.ordinal = p.ordinal)',
                 colbert._derived_table(index, 'postings'), colbert._derived_table(index, 'documents'));
  IF (colbert._plaid_state(index)).state = 'broken' THEN
    PERFORM colbert._plaid_index_centroids(
      colbert._derived_table(index, 'centroids'), (colbert._plaid_centroid_count(index)).trained);
  END IF;
END
$_plaid_mend$;

COMMENT ON FUNCTION colbert._plaid_mend(colbert._index) IS
  'Takes out postings of no document; builds pgvector''s index on the centroids where it is gone.';
