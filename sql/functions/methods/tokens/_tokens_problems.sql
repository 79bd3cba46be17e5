-- How a token table differs from its source: documents without their tokens, tokens without their document, tokens of
-- an array that has changed since. Bad documents have no tokens to compare.
CREATE OR REPLACE FUNCTION colbert._tokens_problems(index colbert._index, sample float8, seed text)
RETURNS TABLE (problem text, doc_id text, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_problems$
BEGIN
  RETURN QUERY EXECUTE format(
    $problems$
    WITH document AS MATERIALIZED (
      SELECT s.%1$I AS doc_id, s.%2$I AS embeddings
        FROM %3$s AS s
       CROSS JOIN LATERAL colbert._document_problem(s.%2$I, $1, $2) AS p
       WHERE %6$s
         AND cardinality(s.%2$I) > 0
         AND p.problem IS NULL
    ), expected AS (
      SELECT d.doc_id,
             ARRAY(SELECT %4$s
                     FROM unnest(d.embeddings) WITH ORDINALITY AS u (token, position)
                    ORDER BY u.position) AS tokens
        FROM document AS d
    ), found AS (
      SELECT t.doc_id,
             array_agg(t.embedding ORDER BY t.position) AS tokens,
             min(t.position) = 1 AND max(t.position) = count(*) AS complete
        FROM %5$s AS t
       WHERE %7$s
       GROUP BY t.doc_id
    )
    SELECT CASE WHEN f.doc_id IS NULL THEN 'missing document'
                WHEN e.doc_id IS NULL THEN 'orphaned document'
                ELSE 'stale document'
           END,
           coalesce(e.doc_id, f.doc_id)::text,
           format('%%s tokens in the array, %%s in the index',
                  coalesce(cardinality(e.tokens), 0), coalesce(cardinality(f.tokens), 0))
      FROM expected AS e
      FULL JOIN found AS f ON f.doc_id = e.doc_id
     WHERE e.doc_id IS NULL
        OR f.doc_id IS NULL
        OR NOT f.complete
        OR e.tokens IS DISTINCT FROM f.tokens
    $problems$,
    index.key, index.embeddings, index.source,
    format((colbert._tokens_layout(index)).conversion, 'u.token'), colbert._derived_table(index, 'tokens'),
    colbert._in_sample_sql(format('s.%I', index.key), sample, seed), colbert._in_sample_sql('t.doc_id', sample, seed))
    USING index.dimensions, colbert._normalized(index);
END
$_tokens_problems$;

COMMENT ON FUNCTION colbert._tokens_problems(colbert._index, float8, text) IS
  'The documents whose tokens in the token table are not those of their array.';
