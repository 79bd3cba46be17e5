-- Takes queries that wait to be encoded, for a worker: the oldest first, at most as many as the batch. They are the
-- worker's for the time of the lease. It is one statement, and no lock is held after it.
--
-- A worker that is neither the owner of the table nor named by the owner gets the queries of its own role alone.
CREATE OR REPLACE FUNCTION colbert.claim_queries(
  source regclass,
  batch integer DEFAULT 32,
  lease interval DEFAULT '5 seconds',
  model jsonb DEFAULT NULL,
  embeddings name DEFAULT NULL)
RETURNS TABLE (id uuid, query_text text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
COST 1000 ROWS 1
SET search_path = pg_catalog, pg_temp
AS $claim_queries$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
BEGIN
  PERFORM colbert._refuse_count('batch', batch);
  RETURN QUERY
    UPDATE colbert._query AS q
       SET claimed_until = clock_timestamp() + claim_queries.lease
     WHERE q.id IN (SELECT w.id
                      FROM colbert._query AS w
                     WHERE w.index_id = _index.id
                       AND w.encoded_at IS NULL
                       AND w.expires_at > clock_timestamp()
                       AND coalesce(w.claimed_until <= clock_timestamp(), true)
                       AND w.model = coalesce(claim_queries.model, _index.options -> 'model')
                     ORDER BY w.asked_at
                     LIMIT claim_queries.batch
                       FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING q.id, q.query_text;
END
$claim_queries$;

COMMENT ON FUNCTION colbert.claim_queries(regclass, integer, interval, jsonb, name) IS
  'Takes up to batch queries that wait, for a worker to encode and hand to store_query or report_query_failure before the lease ends. model is the fingerprint of the worker''s encoder: queries for another model are left.';
