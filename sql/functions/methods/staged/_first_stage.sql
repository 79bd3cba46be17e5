-- The method staged: candidates come from the index of another column of the source, which is smaller (pooled vectors,
-- fewer dimensions, bits), and scores from the column itself. That other index is the first stage. It has triggers and
-- tables of its own, and may be of any method. So nothing is derived here.
CREATE OR REPLACE FUNCTION colbert._first_stage(index colbert._index)
RETURNS colbert._index
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT i
    FROM colbert._index AS i
   WHERE i.source = index.source
     AND i.embeddings = (index.options ->> 'first_stage')::name;
END;

COMMENT ON FUNCTION colbert._first_stage(colbert._index) IS
  'The index of the column that option "first_stage" names; NULL when there is none.';

CREATE OR REPLACE FUNCTION colbert._first_stage_problem(index colbert._index, first colbert._index)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE
         WHEN first.id IS NULL THEN 'it has no index'
         WHEN colbert._element_type(first.source, first.embeddings) IS NULL THEN 'it is gone or of another type'
         WHEN first.method = 'staged' THEN 'it has a first stage itself'
         WHEN first.key <> index.key THEN format('its index has the key "%s", not "%s"', first.key, index.key)
         WHEN colbert._is_encoded(first) THEN 'its index has texts or pictures of its own for workers'
         WHEN colbert._tenant_column(first) IS NOT NULL THEN 'its index is kept apart by tenant'
         WHEN first.dimensions > index.dimensions
           THEN format('it has %s dimensions, more than %s', first.dimensions, index.dimensions)
       END;

COMMENT ON FUNCTION colbert._first_stage_problem(colbert._index, colbert._index) IS
  'Why an index cannot be the first stage of another; NULL when it can.';

CREATE OR REPLACE FUNCTION colbert._find_first_stage(index colbert._index)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_find_first_stage$
DECLARE
  _first colbert._index := colbert._first_stage(index);
  _problem text := colbert._first_stage_problem(index, _first);
BEGIN
  IF _problem IS NOT NULL THEN
    RAISE EXCEPTION 'column "%" of table "%" cannot be a first stage: %',
                    index.options ->> 'first_stage', index.source, _problem
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('Create an index on it first: SELECT colbert.create_index(%L, %L, key => %L).',
                          index.source, index.options ->> 'first_stage', index.key);
  END IF;
  RETURN _first;
END
$_find_first_stage$;

COMMENT ON FUNCTION colbert._find_first_stage(colbert._index) IS
  'The index that is the first stage of another, or an error that says why there is none.';
