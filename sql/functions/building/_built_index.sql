-- The registry row as it will be when a build is done, but for the tables that no method makes. All that fills tables
-- and brings them in step takes it in place of the row of today.
CREATE OR REPLACE FUNCTION colbert._built_index(index colbert._index, build colbert._build)
RETURNS colbert._index
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_built_index$
BEGIN
  index.method := build.method;
  index.tables := build.tables;
  index.table_names := build.table_names;
  RETURN index;
END
$_built_index$;

COMMENT ON FUNCTION colbert._built_index(colbert._index, colbert._build) IS
  'An index with the method and the tables of its build.';
