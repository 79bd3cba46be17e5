-- Creates an index on a column of token vectors, and keeps it in step from then on. Like CREATE INDEX it blocks writers
-- of the table, not readers, until the transaction ends.
--
-- Errors: every document that is there is checked before anything is built, and the first bad one is named with its key
-- and token. Cost: a scan of the arrays, and the build of the method.
CREATE OR REPLACE FUNCTION colbert.create_index(
  source regclass,
  embeddings name DEFAULT 'embeddings',
  method text DEFAULT NULL,
  options jsonb DEFAULT '{}',
  key name DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $create_index$
DECLARE
  _index colbert._index;
BEGIN
  PERFORM colbert._refuse_source(source, embeddings);
  IF colbert._has_shards(source) THEN
    PERFORM colbert._create_over_shards(source, embeddings, method, options, key);
    RETURN;
  END IF;
  EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', source);
  _index := colbert._register_index(source, embeddings, method, options, key);
  PERFORM colbert._refuse_documents(_index);
  IF colbert._is_encoded(_index) THEN
    PERFORM colbert._create_pending_index(_index, options ->> 'text');
  END IF;
  _index := colbert._create_tables(_index);
  IF colbert._triggers(_index) THEN
    PERFORM colbert._create_sync(_index);
  END IF;
  PERFORM colbert._method_build(_index);
  EXECUTE format('ANALYZE %s (%I)', source, _index.key);
  IF colbert._is_encoded(_index) THEN
    PERFORM colbert._notify_workers(_index.id);
  END IF;
END
$create_index$;

COMMENT ON FUNCTION colbert.create_index(regclass, name, text, jsonb, name) IS
  'Creates an index (exact, hnsw, ivfflat, plaid or staged; chosen for the table when no method is named) on a column of token-vector arrays and keeps it in step with triggers. For the owner of the table.';
