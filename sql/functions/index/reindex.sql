-- Mends an index and builds anew what ages in it. Searches use the old build until the new one is ready, and wait only
-- for the moment of the change. Writers of the table wait until it is done. Over shards, all build theirs at once.
--
-- Without retrain, plaid keeps its centroids, and what documents were filed under. Documents get ordinals from 1 on, and
-- postings are written anew in their order. The other methods have nothing to keep: they do the same either way.
CREATE OR REPLACE FUNCTION colbert.reindex(source regclass, embeddings name DEFAULT NULL, retrain boolean DEFAULT true)
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
    PERFORM FROM colbert._call_shards(_index, ARRAY(SELECT s FROM colbert._shards_of(_index.source) AS s), 'reindex',
                                         CASE WHEN retrain IS FALSE THEN jsonb '{"retrain": false}' ELSE '{}' END);
    RETURN;
  END IF;
  EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', _index.source);
  PERFORM colbert.repair_index(_index.source, _index.embeddings);
  PERFORM colbert._method_rebuild(colbert._find_index(_index.source, _index.embeddings), retrain IS NOT FALSE);
  EXECUTE format('ANALYZE %s (%I)', _index.source, _index.key);
END
$reindex$;

COMMENT ON FUNCTION colbert.reindex(regclass, name, boolean) IS
  'Mends an index and builds it anew while searches go on; with retrain => false, from the centroids that are there. For the owner of the table.';
