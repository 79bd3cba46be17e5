-- Makes ready for the exact scores of a whole scope: whether parallel workers are to find them, and the settings for that.
-- The caller has SET clauses for these, so that they end with it.
--
-- A thousand documents take one process about 0.2 s. Starting workers for fewer takes longer than it saves. Workers
-- group all tokens by document (_scoring_sql), for which each document takes 100 bytes and 16 for each query token.
-- Where that would come to more than 512 MB, or to more columns than a row can have, one process does it alone.
--
-- Where row-level security hides documents, those that are left are counted.
--
-- The arrays are long and stored apart, so that the size of the table tells the planner little about the work.
CREATE OR REPLACE FUNCTION colbert._begin_pass(
  index colbert._index, query vector[], scope colbert._scope)
RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_begin_pass$
DECLARE
  _documents float8 := (SELECT c.reltuples FROM pg_class AS c WHERE c.oid = index.source);
  _kilobytes float8 := 1.2 * _documents * (100 + 16 * cardinality(query)) / 1024;
BEGIN
  IF current_setting('max_parallel_workers_per_gather')::integer = 0 OR _documents < 1000
     OR _kilobytes > 524288 OR cardinality(query) > 1000
     OR row_security_active(index.source) AND colbert._count_matching(scope, 1000) < 1000 THEN
    RETURN false;
  END IF;
  PERFORM set_config('min_parallel_table_scan_size', '0', true),
          set_config('parallel_setup_cost', '0', true),
          set_config('parallel_tuple_cost', '0', true),
          set_config('work_mem', greatest(32768, ceil(_kilobytes))::text, true);
  RETURN true;
END
$_begin_pass$;

COMMENT ON FUNCTION colbert._begin_pass(colbert._index, vector[], colbert._scope) IS
  'Whether parallel workers are to score all documents, after setting what they need.';
