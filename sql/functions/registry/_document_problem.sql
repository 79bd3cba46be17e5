-- The first thing that is wrong with an array of token vectors. All OUT columns are NULL for a good one. kind is a word
-- that callers may compare: nested, null, dimensions, zero or length. Positions count from 1. Lengths are compared with
-- a tolerance of 0.01, which is wide enough for half precision. pgvector itself refuses numbers that are not finite,
-- wherever a vector is made. Of bits only the number can be wrong: all that there may be are directions.
CREATE OR REPLACE FUNCTION colbert._document_problem(
  embeddings anyarray, dimensions integer, normalized boolean,
  OUT kind text, OUT code text, OUT problem text, OUT hint text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_document_problem$
DECLARE
  _position bigint;
  _dimensions integer;
  _norm float8;
BEGIN
  IF embeddings IS NULL OR cardinality(embeddings) = 0 THEN
    RETURN;
  END IF;

  IF array_ndims(embeddings) <> 1 THEN
    kind := 'nested';
    code := '2202E';  -- array_subscript_error
    problem := format('the array has %s dimensions', array_ndims(embeddings));
    hint := 'Store a one-dimensional array with one vector for each token.';
    RETURN;
  END IF;

  SELECT t.position, t.dimensions, t.norm
    INTO _position, _dimensions, _norm
    FROM (SELECT u.position, colbert._dimensions(u.token) AS dimensions,
                 colbert._norm(u.token) AS norm
            FROM unnest(embeddings) WITH ORDINALITY AS u (token, position)) AS t
   WHERE t.norm IS NULL
      OR t.dimensions <> _document_problem.dimensions
      OR t.norm = 0
      OR (normalized AND t.norm NOT BETWEEN 0.99 AND 1.01)
   ORDER BY t.position
   LIMIT 1;

  IF NOT FOUND THEN
    RETURN;
  ELSIF _norm IS NULL THEN
    kind := 'null';
    code := '22004';  -- null_value_not_allowed
    problem := format('token %s is NULL', _position);
    hint := 'Leave the token out, or encode the text again.';
  ELSIF _dimensions <> dimensions THEN
    kind := 'dimensions';
    code := '22000';  -- data_exception, as pgvector has it
    problem := format('token %s has %s dimensions, expected %s', _position, _dimensions, dimensions);
    hint := 'Encode it with the model that the index was made for.';
  ELSIF _norm = 0 THEN
    kind := 'zero';
    code := '22023';  -- invalid_parameter_value
    problem := format('token %s is a zero vector', _position);
    hint := 'Leave the token out: it has no direction to compare.';
  ELSE
    kind := 'length';
    code := '22023';  -- invalid_parameter_value
    problem := format('token %s has length %s, expected 1', _position, round(_norm::numeric, 4));
    hint := 'Normalise the vectors, or create the index with options => ''{"normalized": false}''.';
  END IF;
END
$_document_problem$;

COMMENT ON FUNCTION colbert._document_problem(anyarray, integer, boolean) IS
  'Kind, SQLSTATE, description and hint of the first thing that is wrong with an array of token vectors; NULLs when nothing is.';
