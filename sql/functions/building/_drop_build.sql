-- Takes a build away, with its tables. Writers must not be at work, and the table of changes must go out of the registry
-- row, which is left to the caller.
CREATE OR REPLACE FUNCTION colbert._drop_build(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_drop_build$
DECLARE
  _table regclass;
BEGIN
  FOR _table IN SELECT t FROM colbert._build_tables(index) AS t LOOP
    EXECUTE format('DROP TABLE %s', _table);
  END LOOP;
  DELETE FROM colbert._build AS b WHERE b.index_id = index.id;
END
$_drop_build$;

COMMENT ON FUNCTION colbert._drop_build(colbert._index) IS
  'Drops the tables of a build, and its row.';
