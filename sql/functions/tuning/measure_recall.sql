-- How good an index is on the caller's own data: the share of the k best documents that it finds, and how long it
-- takes, beside exact search. queries is a table or view with a column of token-vector arrays. Without one, queries are
-- drawn from the documents (_draw_sample), which measures about what real ones do. filter and params are those of the
-- searches.
--
-- Knobs of the session (SET colbert.effort …) count, so that one can try them out. Cost: sample exact searches.
CREATE OR REPLACE FUNCTION colbert._measure_recall(
  source regclass, queries regclass, k integer, sample integer, candidates integer, embeddings name,
  query_column name, filter text, params jsonb, search_path text)
RETURNS TABLE (queries_measured integer, recall float8, milliseconds float8, milliseconds_p95 float8,
               exact_milliseconds float8, speedup float8)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_measure_recall$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _drawn record := colbert._draw_sample(_index, queries, query_column, sample, k, filter, params, search_path);
BEGIN
  RETURN QUERY
    SELECT cardinality(_drawn.sample), m.recall, m.milliseconds, m.milliseconds_p95, _drawn.milliseconds,
           _drawn.milliseconds / m.milliseconds
      FROM colbert._measure(_index, _drawn.sample, k, candidates, filter, params, search_path) AS m;
END
$_measure_recall$;

COMMENT ON FUNCTION colbert._measure_recall(regclass, regclass, integer, integer, integer, name, name, text, jsonb, text) IS
  'The body of measure_recall; search_path is the caller''s.';

CREATE OR REPLACE FUNCTION colbert.measure_recall(
  source regclass,
  queries regclass DEFAULT NULL,
  k integer DEFAULT 10,
  sample integer DEFAULT 50,
  candidates integer DEFAULT NULL,
  embeddings name DEFAULT NULL,
  query_column name DEFAULT NULL,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL)
RETURNS TABLE (queries_measured integer, recall float8, milliseconds float8, milliseconds_p95 float8,
               exact_milliseconds float8, speedup float8)
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
ROWS 1
BEGIN ATOMIC
  SELECT m.queries_measured, m.recall, m.milliseconds, m.milliseconds_p95, m.exact_milliseconds, m.speedup
    FROM colbert._measure_recall(source, queries, k, sample, candidates, embeddings, query_column, filter, params,
                                 current_setting('search_path')) AS m;
END;

COMMENT ON FUNCTION colbert.measure_recall(regclass, regclass, integer, integer, integer, name, name, text, jsonb) IS
  'Recall and median latency of an index against exact search, for queries of a table or view, or drawn from the documents. filter and params are those of the searches.';
