-- The least score that is wanted, from min_score, which is a mean over the query: the score divided by the sum of the
-- query vectors' lengths. It compares across queries of different lengths, and is between -1 and 1 where documents have
-- unit length (from 0 for bits). NULL where no min_score is given.
CREATE OR REPLACE FUNCTION colbert._least_score(index colbert._index, query vector[], min_score float8)
RETURNS float8
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_least_score$
BEGIN
  IF min_score IS NULL THEN
    RETURN NULL;
  ELSIF NOT (min_score BETWEEN -1 AND 1) AND (colbert._normalized(index) OR min_score = 'NaN') THEN
    RAISE EXCEPTION 'min_score must be from -1 to 1, not %', min_score
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'It is a mean over the query: the score divided by the sum of the query vectors'' lengths.';
  END IF;
  RETURN min_score * (SELECT sum(colbert._weight(q.token)) FROM unnest(query) AS q (token));
END
$_least_score$;

COMMENT ON FUNCTION colbert._least_score(colbert._index, vector[], float8) IS
  'The least score that is wanted; NULL where no min_score is given.';
