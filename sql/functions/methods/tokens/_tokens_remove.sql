CREATE OR REPLACE FUNCTION colbert._tokens_remove(index colbert._index, doc_id text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_remove$
BEGIN
  EXECUTE format('DELETE FROM %s AS t WHERE t.doc_id = $1::%s',
                 colbert._derived_table(index, 'tokens'), (colbert._source_types(index)).key_type)
    USING doc_id;
END
$_tokens_remove$;

COMMENT ON FUNCTION colbert._tokens_remove(colbert._index, text) IS
  'Takes the tokens of a document out of the token table.';
