-- A document that is encoded, gone, or has another text or picture starts afresh. The triggers call this under the lock of
-- the source row, as every change of an attempt is made.
CREATE OR REPLACE FUNCTION colbert._forget_attempts(
  index colbert._index, doc_id text DEFAULT NULL, tenant text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_forget_attempts$
BEGIN
  IF colbert._is_encoded(index) THEN
    EXECUTE format('DELETE FROM %s AS a WHERE ($1 IS NULL OR a.doc_id = $1::%s)%s',
                   colbert._derived_table(index, 'attempts'), (colbert._source_types(index)).key_type,
                   CASE WHEN tenant IS NOT NULL THEN ' AND a.tenant = $2' END)
      USING doc_id, tenant;
  END IF;
END
$_forget_attempts$;

COMMENT ON FUNCTION colbert._forget_attempts(colbert._index, text, text) IS
  'Forgets the attempts at encoding one document, or all; nothing for an index that workers do not encode.';
