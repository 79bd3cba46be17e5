-- The number of rows of a table as the planner estimates it: from the last ANALYZE or VACUUM, and from the size of the
-- table now. A table that was never analyzed counts as ten rows a page. Those of partitions add up.
CREATE OR REPLACE FUNCTION colbert._estimated_rows(relation regclass)
RETURNS float8
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_estimated_rows$
BEGIN
  RETURN (
    SELECT coalesce(sum(pg_relation_size(c.oid) / current_setting('block_size')::float8
                        * CASE WHEN c.relpages > 0 THEN c.reltuples / c.relpages ELSE 10 END), 0)
      FROM pg_class AS c
     WHERE c.relkind IN ('r', 'm')
       AND c.oid = ANY (relation::oid || ARRAY(SELECT t.relid::oid FROM pg_partition_tree(relation) AS t)));
END
$_estimated_rows$;

COMMENT ON FUNCTION colbert._estimated_rows(regclass) IS
  'About how many rows a table has, from its size and what the last ANALYZE found.';
