-- One search for one query of a sample: the scores found, best first, and how long it took. The document that the query
-- was drawn from is left out.
CREATE OR REPLACE FUNCTION colbert._timed_search(
  index colbert._index, sample colbert._sample, k integer, candidates integer, exact boolean,
  filter text, params jsonb, search_path text,
  OUT scores float8[], OUT milliseconds float8)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_timed_search$
DECLARE
  _started timestamptz := clock_timestamp();
BEGIN
  SELECT array_agg(f.score)
    INTO scores
    FROM (SELECT s.score
            FROM colbert._search(index.source, sample.query, NULL::text, k + (sample.drawn_from IS NOT NULL)::integer,
                                 filter, params, candidates, exact, index.embeddings, search_path) AS s
           WHERE s.doc_id IS DISTINCT FROM sample.drawn_from
           LIMIT k) AS f;
  milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
END
$_timed_search$;

COMMENT ON FUNCTION colbert._timed_search(colbert._index, colbert._sample, integer, integer, boolean, text, jsonb, text) IS
  'The scores that one search finds, best first, and its milliseconds.';
