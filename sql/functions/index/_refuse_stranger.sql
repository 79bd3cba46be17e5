-- Whatever makes, changes or drops an index is for the source's owner, as it is for CREATE INDEX. Reading a
-- snapshot from before the lock would miss rows, so that READ COMMITTED it must be.
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
  IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
    RAISE EXCEPTION 'an index cannot be changed in a % transaction',
                    upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'active_sql_transaction',
            HINT = 'Run it in a READ COMMITTED transaction: it has to see what was committed before it.';
  END IF;
END
$_refuse_stranger$;

COMMENT ON FUNCTION colbert._refuse_stranger(regclass) IS
  'Raises unless the caller owns the table and runs in READ COMMITTED.';
