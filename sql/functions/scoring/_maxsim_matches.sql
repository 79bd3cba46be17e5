-- Which document token answers each query token: the terms of the sum that maxsim returns. Positions count from 1. Of
-- equal similarities the first document token is named. There are no rows for an empty document.
CREATE OR REPLACE FUNCTION colbert._maxsim_matches(query anyarray, document anyarray)
RETURNS TABLE (query_position integer, document_position integer, similarity float8)
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000 ROWS 32
SET search_path = pg_catalog, pg_temp
AS $_maxsim_matches$
BEGIN
  PERFORM colbert._refuse_malformed(query, 'query'),
          colbert._refuse_malformed(document, 'document');
  RETURN QUERY
    SELECT q.position::integer, best.position::integer, best.similarity
      FROM unnest(query) WITH ORDINALITY AS q (token, position)
     CROSS JOIN LATERAL (
           SELECT d.position, colbert._similarity(d.token, q.token) AS similarity
             FROM unnest(document) WITH ORDINALITY AS d (token, position)
            ORDER BY 2 DESC, 1
            LIMIT 1) AS best
     ORDER BY 1;
END
$_maxsim_matches$;

COMMENT ON FUNCTION colbert._maxsim_matches(anyarray, anyarray) IS
  'The matches of arrays of vector, of halfvec and of bits: the body of the forms of maxsim_matches.';
