-- Whatever makes, changes or drops an index is for the source's owner, as it is for CREATE INDEX.
CREATE OR REPLACE FUNCTION colbert._refuse_stranger(source regclass)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_stranger$
BEGIN
  IF NOT (SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class AS c WHERE c.oid = source) THEN
    RAISE EXCEPTION 'must be owner of table %', source
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'Ask its owner, or become a member of the owning role.';
  END IF;
END
$_refuse_stranger$;

COMMENT ON FUNCTION colbert._refuse_stranger(regclass) IS
  'Raises unless the caller owns the table.';

-- What is derived from the source, or compared with it, has to be derived from all of it. FORCE ROW LEVEL
-- SECURITY hides rows from the owner, too.
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

-- A snapshot from before the lock on the source would miss rows.
CREATE OR REPLACE FUNCTION colbert._refuse_old_snapshot()
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_old_snapshot$
BEGIN
  IF colbert._keeps_snapshot() THEN
    RAISE EXCEPTION 'an index cannot be changed in a % transaction',
                    upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'active_sql_transaction',
            HINT = 'Run it in a READ COMMITTED transaction: it has to see what was committed before it.';
  END IF;
END
$_refuse_old_snapshot$;

COMMENT ON FUNCTION colbert._refuse_old_snapshot() IS
  'Raises unless every statement of the transaction sees what was committed before it.';
