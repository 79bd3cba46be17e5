-- Nobody writes while this runs, so that every change from now on is in the table of changes, and every change before
-- is in the source. The new tables are entered in the registry row as they are made: their names go to the build.
CREATE OR REPLACE FUNCTION colbert._start_build(index colbert._index, build colbert._build)
RETURNS float8
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_start_build$
BEGIN
  IF NOT colbert._lock_briefly(index.source) THEN
    RETURN 0.5;
  END IF;
  IF colbert._triggers(index) AND colbert._sync_problem(index) IS NOT NULL THEN
    PERFORM colbert._create_sync(index);
  END IF;

  UPDATE colbert._index AS i SET tables = '{}', table_names = '{}' WHERE i.id = index.id;
  PERFORM colbert._method_create(colbert._built_index(index, build));
  UPDATE colbert._build AS b
     SET tables = i.tables, table_names = i.table_names,
         phase = CASE WHEN b.checks THEN 'checking' ELSE 'filling' END
    FROM colbert._index AS i
   WHERE b.index_id = index.id AND i.id = index.id;

  UPDATE colbert._index AS i
     SET tables = index.tables, table_names = colbert._table_names(index)
   WHERE i.id = index.id;
  IF build.checks AND colbert._is_encoded(index) THEN
    PERFORM colbert._create_attempts(index);
  END IF;
  PERFORM colbert._create_derived(
    index, 'changes', format('doc_id %s, tenant text', (colbert._source_types(index)).key_type), 'documents');
  RETURN 0;
END
$_start_build$;

COMMENT ON FUNCTION colbert._start_build(colbert._index, colbert._build) IS
  'The step of a build that makes its tables, and has writers note what they change.';
