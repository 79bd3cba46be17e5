-- The names of an index's trigger function, which lives beside the source, and of its triggers. Triggers of one event
-- fire in the order of their names. Those that fire after the change have names that sort first. The one that fires
-- before the change has a name that sorts last, except for names beyond ASCII, so that it sees what other triggers have
-- made of the row.
CREATE OR REPLACE FUNCTION colbert._sync_names(
  index colbert._index, OUT sync_function text, OUT row_trigger name, OUT truncate_trigger name,
  OUT text_trigger name)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT format('%s.colbert_sync_%s', c.relnamespace::regnamespace, index.id),
         format('!colbert_sync_%s', index.id),
         format('!colbert_truncate_%s', index.id),
         format('~colbert_text_%s', index.id)
    FROM pg_catalog.pg_class AS c
   WHERE c.oid = index.source;
END;

COMMENT ON FUNCTION colbert._sync_names(colbert._index) IS
  'The names of the trigger function of an index, with its schema, and of its triggers.';
