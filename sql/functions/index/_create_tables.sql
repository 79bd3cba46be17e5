-- Makes the tables of an index, empty: those of its method, and that of the attempts where texts are encoded. The
-- registry knows them from then on; returns its row.
CREATE OR REPLACE FUNCTION colbert._create_tables(index colbert._index)
RETURNS colbert._index
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_create_tables$
DECLARE
  _index colbert._index := index;
  _create text := colbert._operation(index.method, 'create');
BEGIN
  _index.tables := '{}';
  IF _create IS NOT NULL THEN
    EXECUTE format('SELECT %s($1)', _create) INTO _index.tables USING index;
  END IF;
  IF colbert._text_column(index) IS NOT NULL THEN
    _index.tables := _index.tables || colbert._create_attempts(index);
  END IF;
  UPDATE colbert._index AS i SET tables = _index.tables WHERE i.id = index.id;
  RETURN _index;
END
$_create_tables$;

COMMENT ON FUNCTION colbert._create_tables(colbert._index) IS
  'Makes the tables of an index, empty, and enters them in the registry; returns its row.';
