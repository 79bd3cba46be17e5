-- Keeps writers away from a table, or says that it cannot. Whoever waits for a lock makes all writers wait that come
-- after: so a lock that is not to be had at once is asked for again later.
CREATE OR REPLACE FUNCTION colbert._lock_briefly(source regclass)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '200ms'
AS $_lock_briefly$
BEGIN
  EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', source);
  RETURN true;
EXCEPTION WHEN lock_not_available THEN
  RETURN false;
END
$_lock_briefly$;

COMMENT ON FUNCTION colbert._lock_briefly(regclass) IS
  'Locks a table against writers, to the end of the transaction; false when others hold it for longer than 0.2 s.';
