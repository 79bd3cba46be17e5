-- Gives up a reindex_concurrently that was interrupted: the index stays as it is, and what was built goes. It waits for
-- a step that runs.
CREATE OR REPLACE FUNCTION colbert.abandon_reindex(source regclass, embeddings name DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $abandon_reindex$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _build colbert._build;
BEGIN
  PERFORM colbert._refuse_stranger(_index.source),
          colbert._refuse_old_snapshot();
  SELECT b.* INTO _build FROM colbert._build AS b WHERE b.index_id = _index.id FOR UPDATE;
  IF _build.checks OR _build.phase IS NULL OR _build.phase = 'retiring' THEN
    RAISE EXCEPTION 'the index on "%" is not being built anew', _index.source
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = CASE WHEN _build.checks
                        THEN format('SELECT colbert.drop_index(%L, %L) drops an index that is not finished.',
                                    _index.source, _index.embeddings)
                        WHEN _build.phase = 'retiring'
                        THEN format('It is done but for old tables: CALL colbert.reindex_concurrently(%L, %L) drops them.',
                                    _index.source, _index.embeddings)
                        ELSE 'There is nothing to abandon.' END;
  END IF;
  IF NOT colbert._lock_briefly(_index.source) THEN
    RAISE EXCEPTION 'other transactions are writing "%"', _index.source
      USING ERRCODE = 'lock_not_available',
            HINT = 'Try again when they have ended.';
  END IF;
  _index := colbert._find_index(_index.source, _index.embeddings);
  PERFORM colbert._drop_build(_index);
  PERFORM colbert._drop_changes(_index);
END
$abandon_reindex$;

COMMENT ON FUNCTION colbert.abandon_reindex(regclass, name) IS
  'Gives up a reindex_concurrently that was interrupted; the index stays as it is. For the owner of the table.';

CREATE OR REPLACE FUNCTION colbert._drop_changes(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_drop_changes$
DECLARE
  _changes regclass := colbert._registered_table(index, 'changes');
BEGIN
  IF EXISTS (SELECT FROM colbert._derived_tables(index) AS t WHERE t = _changes) THEN
    EXECUTE format('DROP TABLE %s', _changes);
  END IF;
  UPDATE colbert._index AS i
     SET tables = array_remove(i.tables, _changes), table_names = array_remove(i.table_names, 'changes')
   WHERE i.id = index.id;
END
$_drop_changes$;

COMMENT ON FUNCTION colbert._drop_changes(colbert._index) IS
  'Takes the table of changes away from an index.';
