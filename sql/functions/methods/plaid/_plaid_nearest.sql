-- The nearest centroid of each token of a document, in the order of the tokens; a build finds those of many documents in
-- another way (_plaid_descend_sql). centroids is SQL for those that are looked at (_plaid_near_sql). Two lists of
-- pgvector's index, or of a part, hold the nearest for four tokens in five, and one almost as near for the fifth. Measured with 75,000 centroids:
--
--   lists       time of a token     nearest of all     similarity to the one found
--   1           36 us               .69                .794
--   2           54 us               .81                .808
--   3           72 us               .86                .814
--   5           109 us              .91                .819
--   all                             1                  .825
--
-- A search finds as much with two as with three (recall@100 .947 and .948 in the same time), and less with one (.929). Of
-- 8,000 centroids, three lists had the nearest for .84 of the tokens, hnsw with 8 neighbours for .89 in 1.3 times the
-- time, with 20 for .96 in 2.5 times.
CREATE OR REPLACE FUNCTION colbert._plaid_nearest(centroids text, tokens anyarray)
RETURNS integer[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
COST 1000000
SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET max_parallel_workers_per_gather = 0
SET ivfflat.probes = 2
SET hnsw.ef_search = 10
AS $_plaid_nearest$
DECLARE
  _nearest integer[];
BEGIN
  EXECUTE format(
    'SELECT array_agg((SELECT c.id FROM %1$s ORDER BY c.centroid OPERATOR(%2$I.<#>) q.token LIMIT 1) ORDER BY q.position)'
    '  FROM (SELECT colbert._direction(u.token)::%2$I.halfvec AS token, u.position'
    '          FROM unnest($1) WITH ORDINALITY AS u (token, position) OFFSET 0) AS q',
    centroids, colbert._vector_schema())
     INTO _nearest
    USING tokens;
  RETURN _nearest;
END
$_plaid_nearest$;

COMMENT ON FUNCTION colbert._plaid_nearest(text, anyarray) IS
  'The id of the nearest centroid of each token.';
