-- hnsw keeps dead tokens in its graph until VACUUM, and ivfflat the centres of the data that it was built on.
CREATE OR REPLACE FUNCTION colbert._tokens_rebuild(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_rebuild$
BEGIN
  PERFORM colbert._tokens_build_ann(index);
END
$_tokens_rebuild$;

COMMENT ON FUNCTION colbert._tokens_rebuild(colbert._index) IS
  'Builds pgvector''s index anew on the tokens that are there.';
