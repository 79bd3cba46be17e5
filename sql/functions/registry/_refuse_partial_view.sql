-- What is derived from the source, or compared with it, needs all of the source. FORCE ROW LEVEL SECURITY hides rows
-- even from the owner.
CREATE OR REPLACE FUNCTION colbert._refuse_partial_view(source regclass)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_partial_view$
BEGIN
  IF row_security_active(source) THEN
    RAISE EXCEPTION 'row-level security may hide rows of table "%" from role "%"', source, current_user
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'Run it as a superuser or a role with BYPASSRLS.';
  END IF;
END
$_refuse_partial_view$;

COMMENT ON FUNCTION colbert._refuse_partial_view(regclass) IS
  'Raises where row-level security applies to the caller.';
