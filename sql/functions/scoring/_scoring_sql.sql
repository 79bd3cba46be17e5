-- The statement that scores many documents in one pass: exact search, rerank and the last stage of every search run it.
-- It returns (doc_id, score) for every row of documents, which is SQL for a relation (doc_id, embeddings). $1 is the
-- query, with lower bound 1.
--
-- Run it with EXECUTE … USING. The plan is then made for this one run, and the query's vectors are constants in it. The
-- planner copies the whole query for each of them, 550 MB for 1,024 tokens of 128 dimensions. So from 101 tokens on,
-- subqueries read them from a CTE, once each. Measured with ten documents: 1,024 tokens take a quarter of the time, 128 two
-- thirds, but 20 would take 1.3 times as long, and 1.7 times with literals.
--
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
  WITH form AS (
    SELECT f.*, colbert._vector_schema() AS schema
      FROM (VALUES (false, '', '$1[%s]', '%s'),
                   (true, 'WITH "colbert query" AS MATERIALIZED (SELECT $1 AS vectors) ', 'q.vectors[%s]',
                    '(SELECT %s FROM "colbert query" AS q)')) AS f (long, head, token, constant)
     WHERE f.long = (cardinality(query) > 100)
  ), query_token AS (
    SELECT u.i, colbert._weight(u.token) AS weight, colbert._dimensions(u.token) AS dimensions,
           format(f.token, u.i) AS token
      FROM form AS f CROSS JOIN unnest(query) WITH ORDINALITY AS u (token, i)
  ), term AS (
    SELECT t.i,
           CASE WHEN t.weight <> 1 THEN format(f.constant, format('colbert._weight(%s)', t.token)) || ' * ' ELSE '' END
           || format(CASE WHEN element = 'bit'::regtype THEN
                            '(min(d.token OPERATOR(%1$I.<~>) %2$s) / %3$s::pg_catalog.float8 - 1::pg_catalog.float8)'
                          ELSE
                            'min(d.token OPERATOR(%1$I.<#>) %2$s)'
                     END,
                     f.schema,
                     format(f.constant,
                            format(CASE WHEN element = 'bit'::regtype THEN '%1$I.binary_quantize(%2$s)'
                                        WHEN t.weight = 1 THEN '%2$s::%3$s'
                                        ELSE '%1$I.l2_normalize(%2$s)::%3$s' END,
                                   f.schema, t.token, element)),
                     t.dimensions) AS sql
      FROM form AS f CROSS JOIN query_token AS t
  ), term_group AS (
    SELECT (i - 1) / 16 AS i, string_agg(sql, ' + ' ORDER BY i) AS sql
      FROM term
     GROUP BY 1
  )
  SELECT f.head
         || format(CASE
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
                   documents, g.sql)
    FROM form AS f CROSS JOIN (SELECT string_agg('(' || sql || ')', ' - ' ORDER BY i) AS sql FROM term_group) AS g;
END;

COMMENT ON FUNCTION colbert._scoring_sql(vector[], regtype, text, boolean) IS
  'The SQL that scores every document of a relation (doc_id, embeddings) against the query in $1.';
