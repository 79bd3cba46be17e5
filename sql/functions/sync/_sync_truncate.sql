-- After TRUNCATE of the source.
CREATE OR REPLACE FUNCTION colbert._sync_truncate(index_id integer)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_sync_truncate$
DECLARE
  _index colbert._index := colbert._index_of_trigger(index_id);
BEGIN
  PERFORM colbert._method_clear(_index),
          colbert._forget_attempts(_index);
END
$_sync_truncate$;

COMMENT ON FUNCTION colbert._sync_truncate(integer) IS
  'Empties an index: what the TRUNCATE trigger calls.';
