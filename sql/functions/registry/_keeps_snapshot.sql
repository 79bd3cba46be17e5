-- REPEATABLE READ and SERIALIZABLE keep the snapshot of the first statement.
CREATE OR REPLACE FUNCTION colbert._keeps_snapshot()
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN current_setting('transaction_isolation') NOT LIKE 'read %';

COMMENT ON FUNCTION colbert._keeps_snapshot() IS
  'Whether all statements of the transaction see the snapshot of its first one: REPEATABLE READ, SERIALIZABLE.';
