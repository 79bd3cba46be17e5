-- The postings of all documents, or of those of a part.
CREATE OR REPLACE FUNCTION colbert._plaid_post(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_post$
BEGIN
  EXECUTE format('INSERT INTO %1$s (centroid_id, ordinal%3$s) '
                 'SELECT unnest(d.centroid_ids) AS centroid_id, d.ordinal%3$s FROM %2$s AS d%4$s ORDER BY 1, 2',
                 colbert._derived_table(index, 'postings'), colbert._derived_table(index, 'documents'),
                 CASE WHEN colbert._tenant_column(index) IS NOT NULL THEN ', part' END, ' WHERE d.part = ' || index.part);
END
$_plaid_post$;

COMMENT ON FUNCTION colbert._plaid_post(colbert._index) IS
  'Writes the postings of the documents that were filed.';
