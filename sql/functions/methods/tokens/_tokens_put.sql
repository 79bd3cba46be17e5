CREATE OR REPLACE FUNCTION colbert._tokens_put(
  index colbert._index, doc_id text, embeddings anyarray)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_put$
BEGIN
  EXECUTE format('INSERT INTO %s (doc_id, position, embedding) '
                 'SELECT $1::%s, u.position, %s FROM unnest($2) WITH ORDINALITY AS u (token, position)',
                 colbert._derived_table(index, 'tokens'), (colbert._source_types(index)).key_type,
                 format((colbert._tokens_layout(index)).conversion, 'u.token'))
    USING doc_id, embeddings;
END
$_tokens_put$;

COMMENT ON FUNCTION colbert._tokens_put(colbert._index, text, anyarray) IS
  'Adds the tokens of a new document.';
