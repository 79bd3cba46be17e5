-- Mends an index and builds anew what ages in it. Searches use the old build until the new one is ready, and wait only
-- for the moment of the change. Writers of the table wait until it is done. Over shards, all build theirs at once.
CREATE OR REPLACE FUNCTION colbert.reindex(source regclass, embeddings name DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $reindex$
DECLARE
  _index colbert._index := colbert._find_any_index(source, embeddings);
BEGIN
  PERFORM colbert._refuse_stranger(_index.source),
          colbert._refuse_partial_view(_index.source),
          colbert._refuse_old_snapshot();
  IF _index.method = 'shards' THEN
    PERFORM FROM colbert._call_shards(_index, ARRAY(SELECT s FROM colbert._shards_of(_index.source) AS s), 'reindex');
    RETURN;
  END IF;
  EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', _index.source);
  PERFORM colbert.repair_index(_index.source, _index.embeddings);
  PERFORM colbert._method_rebuild(colbert._find_index(_index.source, _index.embeddings));
  EXECUTE format('ANALYZE %s (%I)', _index.source, _index.key);
END
$reindex$;

COMMENT ON FUNCTION colbert.reindex(regclass, name) IS
  'Mends an index and builds it anew while searches go on. For the owner of the table.';
