-- Trains anew, on what is there now. Old rows are deleted and new ones inserted, so that every search sees either the
-- old ones or the new ones, whole. No search waits, except for the moment in which pgvector's old index on the
-- centroids goes. The registry row is changed for the sake of _note_change.
CREATE OR REPLACE FUNCTION colbert._plaid_rebuild(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_rebuild$
DECLARE
  _old regclass := (colbert._pgvector_indexes(index, 'centroids', '{hnsw, ivfflat}'))[1];
  _name text;
BEGIN
  FOREACH _name IN ARRAY array_remove(array_remove(colbert._table_names(index), 'attempts'), 'changes') LOOP
    EXECUTE format('DELETE FROM %s', colbert._derived_table(index, _name));
  END LOOP;
  PERFORM colbert._method_build(index);
  UPDATE colbert._index AS i SET tables = i.tables WHERE i.id = index.id;
  IF _old IS NOT NULL THEN
    EXECUTE format('DROP INDEX %s', _old);
  END IF;
END
$_plaid_rebuild$;

COMMENT ON FUNCTION colbert._plaid_rebuild(colbert._index) IS
  'Trains centroids anew and files every document under them, while searches go on.';
