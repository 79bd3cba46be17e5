CREATE OR REPLACE FUNCTION colbert._build_advice(index colbert._index, build colbert._build)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN build.method || ' is being built (' || build.phase
       || CASE WHEN build.phase = 'filling' AND build.steps > 0
               THEN format(', step %s of %s', build.step, build.steps) ELSE '' END
       || CASE WHEN colbert._at_work(build) THEN format(') by process %s', build.pid)
               ELSE ') unless it was interrupted, then CALL colbert.maintain() goes on' END
       || CASE WHEN build.checks AND build.phase <> 'retiring' THEN ', searches score all documents until then' ELSE '' END;

COMMENT ON FUNCTION colbert._build_advice(colbert._index, colbert._build) IS
  'How far the build of an index is, and who works on it.';
