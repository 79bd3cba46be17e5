-- How attempts name the documents that they are about: by the key, and by the tenant where an index is kept apart, since
-- keys may be unique within a tenant only. As columns of the table of attempts, taken from the row s of the source, and
-- as what makes that row the one of an attempt.
CREATE OR REPLACE FUNCTION colbert._attempt_key(
  index colbert._index, attempt text, OUT columns text, OUT taken text, OUT matches text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_attempt_key$
BEGIN
  columns := 'doc_id';
  taken := format('s.%I AS doc_id', index.key);
  matches := format('s.%I = %s.doc_id', index.key, attempt);
  IF colbert._tenant_column(index) IS NOT NULL THEN
    columns := columns || ', tenant';
    taken := taken || format(', s.%I::text AS tenant', colbert._tenant_column(index));
    matches := matches || format(' AND s.%I::text COLLATE "C" = %s.tenant', colbert._tenant_column(index), attempt);
  END IF;
END
$_attempt_key$;

COMMENT ON FUNCTION colbert._attempt_key(colbert._index, text) IS
  'SQL for how attempts at encoding name their documents.';
