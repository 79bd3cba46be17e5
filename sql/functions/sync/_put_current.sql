-- The source's row as it is now, not as a trigger or a check saw it.
CREATE OR REPLACE FUNCTION colbert._put_current(index colbert._index, doc_id text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_put_current$
DECLARE
  _found bigint;
BEGIN
  EXECUTE format('SELECT count(colbert._put($1, $2, s.%I)) FROM %s AS s WHERE s.%I = $2::%s',
                 index.embeddings, colbert._source_sql(index), index.key, (colbert._source_types(index)).key_type)
     INTO _found
    USING index, doc_id;
  IF _found = 0 THEN
    PERFORM colbert._method_remove(index, doc_id);
  END IF;
END
$_put_current$;

COMMENT ON FUNCTION colbert._put_current(colbert._index, text) IS
  'Replaces a document in an index by the source''s row, or takes it out where there is none.';
