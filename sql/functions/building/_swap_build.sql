-- The moment in which an index changes over, while the caller keeps writers away. Searches that run see the registry as
-- it was, and the old tables, which stay for them.
CREATE OR REPLACE FUNCTION colbert._swap_build(index colbert._index, build colbert._build)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_swap_build$
DECLARE
  _former text[] := array_remove(index.table_names, 'attempts');
BEGIN
  UPDATE colbert._index AS i
     SET method = build.method,
         tables = build.tables || ARRAY(SELECT t.id FROM unnest(index.tables, index.table_names) AS t (id, name)
                                         WHERE t.name <> ALL (_former)),
         table_names = build.table_names || ARRAY(SELECT n FROM unnest(index.table_names) AS n WHERE n <> ALL (_former))
   WHERE i.id = index.id;
  UPDATE colbert._build AS b
     SET phase = 'retiring', transactions = NULL,
         tables = ARRAY(SELECT t.id FROM unnest(index.tables, index.table_names) AS t (id, name)
                         WHERE t.name = ANY (_former)),
         table_names = ARRAY(SELECT n FROM unnest(index.table_names) AS n WHERE n = ANY (_former))
   WHERE b.index_id = index.id;
END
$_swap_build$;

COMMENT ON FUNCTION colbert._swap_build(colbert._index, colbert._build) IS
  'Puts the tables of a build in place of those that the index had.';
