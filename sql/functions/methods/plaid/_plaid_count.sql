-- The planner's number of documents, times the mean of a hundred pages of them.
CREATE OR REPLACE FUNCTION colbert._plaid_count(index colbert._index)
RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_count$
DECLARE
  _documents pg_class := (SELECT c FROM pg_class AS c WHERE c.oid = colbert._registered_table(index, 'documents'));
  _tokens float8;
BEGIN
  IF NOT colbert._plaid_readable(index) THEN
    RETURN NULL;
  END IF;
  EXECUTE format('SELECT avg(d.tokens) FROM %s AS d TABLESAMPLE SYSTEM (least(100, 10000.0 / $1))',
                 colbert._derived_table(index, 'documents'))
     INTO _tokens
    USING greatest(1, _documents.relpages);
  RETURN nullif(_documents.reltuples, -1) * coalesce(_tokens, 0);
END
$_plaid_count$;

COMMENT ON FUNCTION colbert._plaid_count(colbert._index) IS
  'About how many document tokens are filed, as of the last ANALYZE.';
