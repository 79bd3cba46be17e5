CREATE OR REPLACE FUNCTION colbert._plaid_remove(index colbert._index, doc_id text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_remove$
BEGIN
  EXECUTE format(
    'WITH document AS ('
    '  DELETE FROM %s AS d WHERE d.doc_id = $1::%s%s RETURNING d.ordinal, d.centroid_ids) '
    'DELETE FROM %s AS p USING document AS d '
    ' WHERE p.centroid_id = ANY (d.centroid_ids) AND p.ordinal = d.ordinal',
    colbert._derived_table(index, 'documents'), (colbert._source_types(index)).key_type, ' AND d.part = ' || index.part,
    colbert._derived_table(index, 'postings'))
    USING doc_id;
END
$_plaid_remove$;

COMMENT ON FUNCTION colbert._plaid_remove(colbert._index, text) IS
  'Takes a document and its postings out.';
