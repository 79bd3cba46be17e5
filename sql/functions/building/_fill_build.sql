CREATE OR REPLACE FUNCTION colbert._fill_build(index colbert._index, build colbert._build)
RETURNS float8
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_fill_build$
DECLARE
  _built colbert._index := colbert._built_index(index, build);
BEGIN
  IF build.step = 0 THEN
    build.steps := colbert._method_build_steps(_built);
  END IF;
  IF build.step < build.steps THEN
    build.step := build.step + 1;
    PERFORM colbert._method_build_step(_built, build.step, build.steps);
  END IF;
  UPDATE colbert._build AS b
     SET step = build.step, steps = build.steps,
         phase = CASE WHEN build.step = build.steps THEN 'catching up' ELSE 'filling' END
   WHERE b.index_id = index.id;
  RETURN 0;
END
$_fill_build$;

COMMENT ON FUNCTION colbert._fill_build(colbert._index, colbert._build) IS
  'The step of a build that fills its tables, a batch at a time.';
