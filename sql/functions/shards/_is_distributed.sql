-- Whether Citus has distributed a table, or copied it to all nodes: its rows are then not in the table itself. Citus' catalogs
-- are looked for each time, since a table can be distributed after it was indexed.
CREATE OR REPLACE FUNCTION colbert._is_distributed(source regclass)
RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_is_distributed$
DECLARE
  _found boolean;
BEGIN
  IF to_regclass('pg_catalog.pg_dist_partition') IS NULL THEN
    RETURN false;
  END IF;
  EXECUTE 'SELECT EXISTS (SELECT FROM pg_dist_partition AS p WHERE p.logicalrelid = $1)' INTO _found USING source;
  RETURN _found;
END
$_is_distributed$;

COMMENT ON FUNCTION colbert._is_distributed(regclass) IS
  'Whether Citus holds the rows of a table in shards.';

CREATE OR REPLACE FUNCTION colbert._has_shards(source regclass)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN colbert._is_distributed(source) OR colbert._has_foreign_partitions(source);

COMMENT ON FUNCTION colbert._has_shards(regclass) IS
  'Whether rows of a table are on other servers.';
