-- The partial index on the source that holds the keys of its pending documents.
CREATE OR REPLACE FUNCTION colbert._pending_index(index colbert._index)
RETURNS regclass
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT i.indexrelid::regclass
    FROM pg_catalog.pg_index AS i
   WHERE i.indrelid = index.source
     AND obj_description(i.indexrelid, 'pg_class') = colbert._derived_comment(index);
END;

COMMENT ON FUNCTION colbert._pending_index(colbert._index) IS
  'The index on the source that holds the keys of pending documents.';
