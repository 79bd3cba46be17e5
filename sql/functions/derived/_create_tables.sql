-- Makes the tables of an index, empty: those of its method, and the table of attempts where texts are encoded. Returns
-- the registry row, which knows them.
CREATE OR REPLACE FUNCTION colbert._create_tables(index colbert._index)
RETURNS colbert._index
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_create_tables$
DECLARE
  _index colbert._index;
BEGIN
  UPDATE colbert._index AS i SET tables = '{}', table_names = '{}' WHERE i.id = index.id;
  PERFORM colbert._method_create(index);
  IF colbert._is_encoded(index) THEN
    PERFORM colbert._create_attempts(index);
  END IF;
  SELECT i.* INTO _index FROM colbert._index AS i WHERE i.id = index.id;
  RETURN _index;
END
$_create_tables$;

COMMENT ON FUNCTION colbert._create_tables(colbert._index) IS
  'Makes the tables of an index, empty; returns its registry row, which knows them.';
