-- Clears away, of the queries asked for an index: those that are older than the age or beyond the number to keep, those
-- of a model that the index has no more, and those that nobody waits for any more. Returns how many there were. Workers call
-- it. A role that is neither owner nor named by the owner forgets its own.
CREATE OR REPLACE FUNCTION colbert.forget_queries(
  source regclass,
  keep integer DEFAULT 10000,
  age interval DEFAULT '30 days',
  embeddings name DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $forget_queries$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _forgotten bigint;
BEGIN
  DELETE FROM colbert._query AS q
   WHERE q.index_id = _index.id
     AND (q.encoded_at < clock_timestamp() - forget_queries.age
       OR q.model IS DISTINCT FROM _index.options -> 'model'
       OR (q.vectors IS NULL AND q.expires_at < clock_timestamp())
       OR q.id IN (SELECT k.id
                     FROM colbert._query AS k
                    WHERE k.index_id = _index.id AND k.encoded_at IS NOT NULL
                    ORDER BY k.encoded_at DESC
                   OFFSET forget_queries.keep));
  GET DIAGNOSTICS _forgotten = ROW_COUNT;
  RETURN _forgotten;
END
$forget_queries$;

COMMENT ON FUNCTION colbert.forget_queries(regclass, integer, interval, name) IS
  'Clears away old queries that were encoded, those of another model, and those that nobody waits for; returns how many. keep, how many stay; age, for how long.';
