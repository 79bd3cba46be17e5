-- One search for one query of a sample: the scores found, best first, and how long it took.
CREATE OR REPLACE FUNCTION colbert._timed_search(
  index colbert._index, sample colbert._sample, k integer, candidates integer, exact boolean,
  OUT scores float8[], OUT milliseconds float8)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_timed_search$
DECLARE
  _statement text := format(
    'SELECT array_agg(f.score) FROM ('
    'SELECT s.score FROM colbert._search($1, $2, NULL::%s, $3 + ($4 IS NOT NULL)::integer, NULL, NULL, $5, $6, $7, NULL) AS s'
    ' WHERE s.doc_id::text IS DISTINCT FROM $4 LIMIT $3) AS f',
    (colbert._source_types(index)).key_cast);
  _started timestamptz := clock_timestamp();
BEGIN
  EXECUTE _statement
     INTO scores
    USING index.source, sample.query, k, sample.drawn_from, candidates, exact, index.embeddings;
  milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
END
$_timed_search$;

COMMENT ON FUNCTION colbert._timed_search(colbert._index, colbert._sample, integer, integer, boolean) IS
  'The scores that one search finds, best first, and its milliseconds.';

-- Searches for all queries of a sample with the settings that are in force: the share of the best k documents that is
-- found, and the median and 95th percentile of the times. A document is found when its score is no lower than the
-- k-th best one; so documents of equal score count alike.
CREATE OR REPLACE FUNCTION colbert._measure(
  index colbert._index, sample colbert._sample[], k integer, candidates integer,
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
   CROSS JOIN LATERAL colbert._timed_search(index, q, k, candidates, false) AS f;
END
$_measure$;

COMMENT ON FUNCTION colbert._measure(colbert._index, colbert._sample[], integer, integer) IS
  'Recall and times of an index for a sample of queries, with the settings that are in force.';
