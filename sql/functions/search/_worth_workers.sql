-- A thousand documents take one process about 0.2 s. Starting workers for fewer takes longer than it saves.
CREATE OR REPLACE FUNCTION colbert._worth_workers(index colbert._index)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT current_setting('max_parallel_workers_per_gather')::integer > 0 AND c.reltuples >= 1000
    FROM pg_catalog.pg_class AS c
   WHERE c.oid = index.source;
END;

COMMENT ON FUNCTION colbert._worth_workers(colbert._index) IS
  'Whether scoring all documents is worth starting parallel workers for.';
