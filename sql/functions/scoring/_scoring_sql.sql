-- The statement that scores many documents in one pass: exact search, rerank and the last stage of every search run it.
-- It returns (doc_id, score) for every row of documents, which is SQL for a relation (doc_id, embeddings). $1 is the
-- query, with lower bound 1.
--
-- Run it with EXECUTE … USING. The plan is then made for this one run, and the query's vectors are constants in it.
-- Each query token is one min() over the unnested document: no join, no sort, no call. That is the fastest form in one
-- process (benchmarks/). PostgreSQL keeps correlated subqueries out of parallel workers, so with parallel the same
-- min()s are grouped by document, which workers may do. That needs memory for all documents at once: else their tokens
-- would be written to disk (_begin_pass).
--
-- It runs under the caller's search_path, under which a filter in documents means what it means to the caller. So all
-- types match exactly, and polymorphic functions and the equality of keys name their schema: nothing that is planted
-- matches better. The terms are summed in groups of sixteen, as colbert._maxsim sums them.
CREATE OR REPLACE FUNCTION colbert._scoring_sql(
  query vector[], element regtype, documents text, parallel boolean)
RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  WITH term AS (
    SELECT i, format(CASE WHEN element = 'bit'::regtype THEN
                            '%5$s(min(d.token OPERATOR(%1$I.<~>) %1$I.binary_quantize($1[%2$s]))'
                            ' / %4$s::pg_catalog.float8 - 1::pg_catalog.float8)'
                          WHEN weight = 1 THEN
                            'min(d.token OPERATOR(%1$I.<#>) $1[%2$s]::%3$s)'
                          ELSE
                            '%5$smin(d.token OPERATOR(%1$I.<#>) %1$I.l2_normalize($1[%2$s])::%3$s)'
                     END,
                     pgvector.schema, i, element, dimensions,
                     CASE WHEN weight <> 1 THEN format('colbert._weight($1[%s]) * ', i) END) AS sql
      FROM (SELECT u.i, colbert._weight(u.token) AS weight, colbert._dimensions(u.token) AS dimensions
              FROM unnest(query) WITH ORDINALITY AS u (token, i)) AS query_token
     CROSS JOIN (SELECT colbert._vector_schema() AS schema OFFSET 0) AS pgvector
  ), term_group AS (
    SELECT (i - 1) / 16 AS i, string_agg(sql, ' + ' ORDER BY i) AS sql
      FROM term
     GROUP BY 1
  )
  SELECT format(CASE
                  WHEN parallel THEN
                    'SELECT s.doc_id, 0::pg_catalog.float8 - %2$s AS score'
                    '  FROM %1$s AS s CROSS JOIN LATERAL pg_catalog.unnest(s.embeddings) AS d (token)'
                    ' GROUP BY s.doc_id'
                  ELSE
                    'SELECT s.doc_id, m.score'
                    '  FROM %1$s AS s'
                    ' CROSS JOIN LATERAL (SELECT 0::pg_catalog.float8 - %2$s AS score'
                    '    FROM (SELECT pg_catalog.unnest(s.embeddings) AS token) AS d) AS m'
                END,
                documents, string_agg('(' || sql || ')', ' - ' ORDER BY i))
    FROM term_group;
END;

COMMENT ON FUNCTION colbert._scoring_sql(vector[], regtype, text, boolean) IS
  'The SQL that scores every document of a relation (doc_id, embeddings) against the query in $1.';
