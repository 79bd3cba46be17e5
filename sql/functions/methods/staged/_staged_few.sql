-- As many as the first stage would rather score. Where it scores all of the scope, that costs less than to score the
-- column of the index, but for a few documents.
CREATE OR REPLACE FUNCTION colbert._staged_few(index colbert._index, query vector[], effort colbert._effort)
RETURNS float8
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_staged_few$
DECLARE
  _first colbert._index := colbert._find_first_stage(index);
BEGIN
  RETURN CASE WHEN colbert._method_finds(_first)
              THEN colbert._method_few(_first, query, effort)
              ELSE 50 END;
END
$_staged_few$;

COMMENT ON FUNCTION colbert._staged_few(colbert._index, vector[], colbert._effort) IS
  'How many documents cost as much to score as a search through the first stage.';
