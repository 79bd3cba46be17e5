-- The statement that scores many documents in one pass: exact search, rerank and the last stage of every search run it.
-- It returns (doc_id, score) for every row of documents, which is SQL for a relation (doc_id, embeddings). $1 is the
-- query, an array of vector with lower bound 1.
--
-- Run it with EXECUTE … USING. The plan is then made for this one run, and the query's vectors are constants in it.
-- Each query token is one min() over the unnested document: no join, no sort, no call. That is the fastest form in one
-- process (benchmarks/). PostgreSQL keeps correlated subqueries out of parallel workers, so with parallel the same
-- score comes from colbert._maxsim, which workers may call.
--
-- It runs under the caller's search_path, under which a filter in documents means what it means to the caller. So all
-- types match exactly, and polymorphic functions and the equality of keys name their schema: nothing that is planted
-- matches better. The terms are summed in groups of sixteen, as colbert._maxsim sums them.
CREATE OR REPLACE FUNCTION colbert._scoring_sql(
  query_tokens integer, element regtype, documents text, parallel boolean)
RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  WITH term AS (
    SELECT i, format('min(d.token OPERATOR(%I.<#>) $1[%s]::%s)',
                     pgvector.schema, i, element) AS sql
      FROM generate_series(1, query_tokens) AS i
     CROSS JOIN (SELECT colbert._vector_schema() AS schema OFFSET 0) AS pgvector
     WHERE NOT parallel
  ), term_group AS (
    SELECT (i - 1) / 16 AS i, string_agg(sql, ' + ' ORDER BY i) AS sql
      FROM term
     GROUP BY 1
  )
  SELECT CASE
           WHEN parallel THEN
             format('SELECT s.doc_id, colbert._maxsim($1::%s[], s.embeddings) AS score FROM %s AS s',
                    element, documents)
           ELSE
             format('SELECT s.doc_id, m.score'
                    '  FROM %s AS s'
                    ' CROSS JOIN LATERAL (SELECT 0::pg_catalog.float8 - %s AS score'
                    '    FROM (SELECT pg_catalog.unnest(s.embeddings) AS token) AS d) AS m',
                    documents, string_agg('(' || sql || ')', ' - ' ORDER BY i))
         END
    FROM term_group;
END;

COMMENT ON FUNCTION colbert._scoring_sql(integer, regtype, text, boolean) IS
  'The SQL that scores every document of a relation (doc_id, embeddings) against the query in $1.';
