-- The beginning of every change of an index. doc_id is the document that changes, or NULL for all.
--
-- While an index is being built anew beside its writers, it has a table of changes: the documents that the new tables
-- have to be brought in step with.
--
-- A snapshot from before a rebuild knows tables or rows that are gone. A transaction that keeps its first snapshot
-- therefore locks the registry row, which a rebuild changes, and gets a serialization failure.
CREATE OR REPLACE FUNCTION colbert._note_change(index colbert._index, doc_id text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_note_change$
BEGIN
  IF colbert._keeps_snapshot() THEN
    PERFORM FROM colbert._index AS i WHERE i.id = index.id FOR SHARE;
  END IF;
  IF 'changes' = ANY (index.table_names) THEN
    EXECUTE format('INSERT INTO %s (doc_id, tenant) VALUES ($1::%s, $2)',
                   colbert._derived_table(index, 'changes'), (colbert._source_types(index)).key_type)
      USING doc_id, index.tenants[1];
  END IF;
END
$_note_change$;

COMMENT ON FUNCTION colbert._note_change(colbert._index, text) IS
  'Makes sure that a transaction knows an index as it is, and notes a change where the index is being built anew.';
