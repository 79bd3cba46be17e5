CREATE OR REPLACE FUNCTION colbert._tokens_mend(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_mend$
BEGIN
  IF colbert._pgvector_indexes(index, 'tokens', ARRAY[index.method]) IS NULL THEN
    PERFORM colbert._tokens_build_ann(index);
  END IF;
END
$_tokens_mend$;

COMMENT ON FUNCTION colbert._tokens_mend(colbert._index) IS
  'Builds pgvector''s index on the token table where it is gone.';
