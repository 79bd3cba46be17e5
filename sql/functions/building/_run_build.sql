-- Does what is left of a build, step by step, with a commit after each. A procedure that commits may have no SET clause:
-- all that needs one is in _build_step.
CREATE OR REPLACE PROCEDURE colbert._run_build(index_id integer)
LANGUAGE plpgsql SECURITY INVOKER
AS $_run_build$
DECLARE
  _pause pg_catalog.float8;
BEGIN
  LOOP
    COMMIT;
    _pause := colbert._build_step(index_id);
    EXIT WHEN _pause IS NULL;
    COMMIT;
    PERFORM pg_catalog.pg_sleep(_pause);
  END LOOP;
END
$_run_build$;

COMMENT ON PROCEDURE colbert._run_build(integer) IS
  'Does all steps of a build that are left, with a commit after each.';
