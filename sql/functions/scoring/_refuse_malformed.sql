-- Refuses what no score can be computed from: NULL, a NULL element, more than one array dimension, and a query without
-- tokens. It takes a few microseconds, so that it may run on every document.
CREATE OR REPLACE FUNCTION colbert._refuse_malformed(embeddings anyarray, role text)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_malformed$
BEGIN
  IF embeddings IS NULL THEN
    RAISE EXCEPTION '% must not be NULL', role
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass an array of token vectors.';
  ELSIF cardinality(embeddings) = 0 THEN
    IF role = 'query' THEN
      RAISE EXCEPTION 'query has no tokens'
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'Pass an array with one vector for each query token.';
    END IF;
  ELSIF array_ndims(embeddings) <> 1 THEN
    RAISE EXCEPTION '% is an array of % dimensions', role, array_ndims(embeddings)
      USING ERRCODE = 'array_subscript_error',
            HINT = 'Pass a one-dimensional array with one vector for each token.';
  ELSIF array_position(embeddings, NULL) IS NOT NULL THEN
    RAISE EXCEPTION '% token % is NULL', role,
                    array_position(embeddings, NULL) - array_lower(embeddings, 1) + 1
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Leave the token out, or encode the text again.';
  END IF;
END
$_refuse_malformed$;

COMMENT ON FUNCTION colbert._refuse_malformed(anyarray, text) IS
  'Raises when an array of token vectors is NULL, has NULL elements or more than one dimension, or is a query without tokens.';
