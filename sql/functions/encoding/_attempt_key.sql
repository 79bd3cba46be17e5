-- How attempts name the documents that they are about: by the key, and by the tenant where an index is kept apart, since
-- keys may be unique within a tenant only. As columns of the table of attempts, and as taken from the row s of the source.
CREATE OR REPLACE FUNCTION colbert._attempt_key(index colbert._index, OUT columns text, OUT taken text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_attempt_key$
BEGIN
  columns := 'doc_id';
  taken := format('s.%I AS doc_id', index.key);
  IF colbert._tenant_column(index) IS NOT NULL THEN
    columns := columns || ', tenant';
    taken := taken || format(', s.%I::text AS tenant', colbert._tenant_column(index));
  END IF;
END
$_attempt_key$;

COMMENT ON FUNCTION colbert._attempt_key(colbert._index) IS
  'SQL for how attempts at encoding name their documents.';
