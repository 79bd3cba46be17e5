CREATE OR REPLACE FUNCTION colbert._tokens_clear(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_clear$
BEGIN
  EXECUTE format('TRUNCATE %s', colbert._derived_table(index, 'tokens'));
END
$_tokens_clear$;

COMMENT ON FUNCTION colbert._tokens_clear(colbert._index) IS 'Empties the token table.';
