-- Names a role whose workers may read and answer the queries that others ask for an index, or takes that back. The owner
-- of the table needs no naming. A role that is dropped should be taken back: it is kept by its name.
CREATE OR REPLACE FUNCTION colbert.allow_query_worker(
  source regclass,
  role regrole,
  allowed boolean DEFAULT true,
  embeddings name DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $allow_query_worker$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
BEGIN
  PERFORM colbert._refuse_stranger(_index.source);
  IF allowed THEN
    INSERT INTO colbert._query_worker (index_id, role)
    VALUES (_index.id, pg_get_userbyid(role))
    ON CONFLICT DO NOTHING;
  ELSE
    DELETE FROM colbert._query_worker AS w
     WHERE w.index_id = _index.id AND w.role = pg_get_userbyid(allow_query_worker.role);
  END IF;
END
$allow_query_worker$;

COMMENT ON FUNCTION colbert.allow_query_worker(regclass, regrole, boolean, name) IS
  'Names a role whose workers may encode the queries that others ask for a table; with allowed => false, takes that back. For the owner of the table.';
