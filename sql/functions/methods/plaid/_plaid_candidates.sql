-- The candidate stage of plaid. Each query token probes its nearest centroids; a document that has tokens under some
-- of them gains, for that query token, the similarity of the best one; documents are ranked by their gains.
--
-- A document that none of a query token's probes reached has tokens, too, somewhere farther away. It counts as if at
-- 0.8 of the last probe's similarity: measured on SciFact, better than as nothing and better than as the last probe
-- itself (.96 of the true top ten among 75 candidates, against .91 and .94). Since every document gets that, it is
-- taken from the gains instead.
--
-- Some hundred bytes of memory are needed for each document that is reached, more than work_mem's default of 4 MB from
-- about a hundred thousand on.
--
-- Where row-level security applies to the caller, the policy of the centroids and postings shows none: there are no
-- candidates then, and the search scores all that the caller may see.
CREATE OR REPLACE FUNCTION colbert._plaid_candidates(
  index colbert._index, query vector[], scope colbert._scope, candidates integer)
RETURNS SETOF text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET work_mem = '32MB'
SET ivfflat.probes = 4
AS $_plaid_candidates$
DECLARE
  _nprobe integer := colbert._plaid_nprobe(index);
  _statement text := format(
    $candidates$
    WITH query_token AS MATERIALIZED (
      SELECT u.position, u.token::%1$s AS token
        FROM pg_catalog.unnest($1) WITH ORDINALITY AS u (token, position)
    ), probe AS MATERIALIZED (
      SELECT q.position, c.id AS centroid_id,
             c.similarity - 0.8::pg_catalog.float8 * min(c.similarity) OVER (PARTITION BY q.position) AS gain
        FROM query_token AS q
       CROSS JOIN LATERAL (
             SELECT c.id, - (c.centroid OPERATOR(%2$I.<#>) q.token) AS similarity
               FROM %3$s AS c
              ORDER BY c.centroid OPERATOR(%2$I.<#>) q.token
              LIMIT $3) AS c
    ), ranked AS (
      SELECT g.ordinal, sum(g.gain) AS gain
        FROM query_token AS q
       CROSS JOIN LATERAL (
             SELECT p.ordinal, max(probe.gain) AS gain
               FROM probe
               JOIN %4$s AS p ON p.centroid_id = probe.centroid_id
              WHERE probe.position = q.position
              GROUP BY p.ordinal) AS g
       GROUP BY g.ordinal
       ORDER BY gain DESC, g.ordinal
       %6$s
    )
    SELECT d.doc_id::pg_catalog.text
      FROM ranked AS r
      JOIN %5$s AS d ON d.ordinal = r.ordinal
     %7$s
     ORDER BY r.gain DESC, r.ordinal
     LIMIT $4
    $candidates$,
    colbert._plaid_type(index), colbert._vector_schema(), colbert._derived_table(index, 1),
    colbert._derived_table(index, 2), colbert._derived_table(index, 3),
    CASE WHEN NOT scope.restricted THEN 'LIMIT $4' END,
    CASE WHEN scope.restricted
         THEN format('WHERE EXISTS (SELECT FROM %s AS s WHERE s.doc_id OPERATOR(pg_catalog.=) d.doc_id OFFSET 0)', scope.documents) END);
BEGIN
  PERFORM set_config('search_path', scope.search_path, true);
  RETURN QUERY EXECUTE _statement USING query, scope.params, _nprobe, candidates;
END
$_plaid_candidates$;

COMMENT ON FUNCTION colbert._plaid_candidates(colbert._index, vector[], colbert._scope, integer) IS
  'The keys of the documents filed under the centroids nearest to the query''s tokens, as text, best first.';
