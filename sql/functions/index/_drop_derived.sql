-- Drops what an index has beside its source, and forgets it.
CREATE OR REPLACE FUNCTION colbert._drop_derived(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_drop_derived$
DECLARE
  _object text;
BEGIN
  FOR _object IN
    SELECT format('DROP %s %s', o.kind, o.name) FROM colbert._derived_objects(index) AS o
  LOOP
    EXECUTE _object;
  END LOOP;
  DELETE FROM colbert._index AS i WHERE i.id = index.id;
END
$_drop_derived$;

COMMENT ON FUNCTION colbert._drop_derived(colbert._index) IS
  'Drops the tables and the trigger function of an index, and its place in the registry.';
