CREATE OR REPLACE FUNCTION colbert._has_foreign_partitions(source regclass)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT EXISTS (SELECT FROM pg_partition_tree(source) AS t
                   JOIN pg_catalog.pg_class AS c ON c.oid = t.relid
                  WHERE c.relkind = 'f');
END;

COMMENT ON FUNCTION colbert._has_foreign_partitions(regclass) IS
  'Whether a partitioned table has partitions on other servers.';
