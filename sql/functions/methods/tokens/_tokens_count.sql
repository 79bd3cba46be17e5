CREATE OR REPLACE FUNCTION colbert._tokens_count(index colbert._index)
RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT nullif(c.reltuples, -1)::bigint FROM pg_catalog.pg_class AS c WHERE c.oid = colbert._registered_table(index, 'tokens');
END;

COMMENT ON FUNCTION colbert._tokens_count(colbert._index) IS
  'The number of document tokens in the index, as of the last ANALYZE.';
