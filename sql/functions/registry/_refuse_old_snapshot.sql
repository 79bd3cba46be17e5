-- A snapshot that is older than the lock on the source would miss rows.
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
