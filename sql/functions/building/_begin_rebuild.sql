-- Enters a build of an index that is there, or finds the one that was begun. Returns the id of the index; NULL when there
-- is nothing to build. keeps: whether centroids, or parts that have not outgrown the index, are taken over as they
-- are.
CREATE OR REPLACE FUNCTION colbert._begin_rebuild(source regclass, embeddings name, keeps boolean DEFAULT false)
RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_begin_rebuild$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
BEGIN
  PERFORM colbert._refuse_stranger(_index.source),
          colbert._refuse_partial_view(_index.source),
          colbert._refuse_old_snapshot();
  INSERT INTO colbert._build (index_id, method, checks, keeps)
  VALUES (_index.id, _index.method, false, keeps)
      ON CONFLICT (index_id) DO NOTHING;
  RETURN _index.id;
END
$_begin_rebuild$;

COMMENT ON FUNCTION colbert._begin_rebuild(regclass, name, boolean) IS
  'Enters a build of an index, unless one was begun; returns the id of the index.';
