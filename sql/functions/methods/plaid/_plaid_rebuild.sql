-- Trains anew, on what is there now, or writes anew what is filed. Old rows are deleted and new ones inserted, so that every
-- search sees either the old ones or the new ones, whole. No search waits, except for the moment in which pgvector's old
-- index on the centroids goes. Ordinals begin at 1 again. The registry row is changed for the sake of _note_change.
CREATE OR REPLACE FUNCTION colbert._plaid_rebuild(index colbert._index, retrain boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_rebuild$
DECLARE
  _old regclass := (colbert._pgvector_indexes(index, 'centroids', '{hnsw, ivfflat}'))[1];
  _name text;
BEGIN
  UPDATE colbert._index AS i SET tables = i.tables WHERE i.id = index.id;
  EXECUTE format('ALTER SEQUENCE %s RESTART',
                 pg_get_serial_sequence(colbert._derived_table(index, 'documents')::text, 'ordinal'));
  IF NOT retrain THEN
    PERFORM colbert._plaid_refile(index);
    RETURN;
  END IF;
  IF colbert._registered_table(index, 'nodes') IS NULL THEN  -- 0.2.0 made none
    PERFORM colbert._plaid_create_nodes(index);
    SELECT i.* INTO index FROM colbert._index AS i WHERE i.id = index.id;
  END IF;
  FOREACH _name IN ARRAY array_remove(array_remove(colbert._table_names(index), 'attempts'), 'changes') LOOP
    EXECUTE format('DELETE FROM %s', colbert._derived_table(index, _name));
  END LOOP;
  PERFORM colbert._method_build(index);
  IF _old IS NOT NULL THEN
    EXECUTE format('DROP INDEX %s', _old);
  END IF;
END
$_plaid_rebuild$;

COMMENT ON FUNCTION colbert._plaid_rebuild(colbert._index, boolean) IS
  'Trains centroids anew, unless they are to stay, and files every document under them, while searches go on.';

-- The sort takes all documents before the first one comes back: so no new ordinal meets an old one.
CREATE OR REPLACE FUNCTION colbert._plaid_refile(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_refile$
DECLARE
  _documents regclass := colbert._derived_table(index, 'documents');
  _postings regclass := colbert._derived_table(index, 'postings');
  _columns text := concat_ws(', ', 'doc_id', 'tokens', 'centroid_ids', 'digest',
                             CASE WHEN colbert._tenant_column(index) IS NOT NULL THEN 'part' END);
BEGIN
  EXECUTE format('WITH filed AS (DELETE FROM %1$s RETURNING %2$s, ordinal) '
                 'INSERT INTO %1$s (%2$s) SELECT %2$s FROM filed ORDER BY ordinal', _documents, _columns);
  EXECUTE format('DELETE FROM %s', _postings);
  PERFORM colbert._plaid_post(index);
  EXECUTE format('ANALYZE %s, %s', _documents, _postings);
END
$_plaid_refile$;

COMMENT ON FUNCTION colbert._plaid_refile(colbert._index) IS
  'Files the documents anew under the centroids under which they are.';
