CREATE OR REPLACE FUNCTION colbert._staged_state(index colbert._index, OUT state text, OUT advice text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_staged_state$
DECLARE
  _problem text := colbert._first_stage_problem(index, colbert._first_stage(index));
BEGIN
  IF _problem IS NOT NULL THEN
    state := 'broken';
    advice := format('column "%s" cannot be a first stage: %s', index.options ->> 'first_stage', _problem);
  ELSIF colbert._staged_constraint(index) IS NULL THEN
    state := 'broken';
    advice := 'the constraint by which every document has a first stage is gone, run repair_index';
  END IF;
END
$_staged_state$;

COMMENT ON FUNCTION colbert._staged_state(colbert._index) IS
  'Whether the first stage of an index is there, and its constraint; NULL when all is well.';
