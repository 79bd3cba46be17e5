-- Searches for all queries of a sample with the knobs that are in force: the share of the best k documents that is
-- found, and the median and 95th percentile of the times. A document is found when its score is no lower than the k-th
-- best one, so that documents of equal score count alike.
CREATE OR REPLACE FUNCTION colbert._measure(
  index colbert._index, sample colbert._sample[], k integer, candidates integer,
  filter text, params jsonb, search_path text,
  OUT recall float8, OUT milliseconds float8, OUT milliseconds_p95 float8)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_measure$
BEGIN
  SELECT avg((SELECT count(*) FROM unnest(f.scores) AS s WHERE s >= q.best[cardinality(q.best)])::float8
             / cardinality(q.best)),
         percentile_cont(0.5) WITHIN GROUP (ORDER BY f.milliseconds),
         percentile_cont(0.95) WITHIN GROUP (ORDER BY f.milliseconds)
    INTO recall, milliseconds, milliseconds_p95
    FROM unnest(sample) AS q
   CROSS JOIN LATERAL colbert._timed_search(index, q, k, candidates, false, filter, params, search_path) AS f;
END
$_measure$;

COMMENT ON FUNCTION colbert._measure(colbert._index, colbert._sample[], integer, integer, text, jsonb, text) IS
  'Recall and times of an index for a sample of queries, with the knobs that are in force.';
