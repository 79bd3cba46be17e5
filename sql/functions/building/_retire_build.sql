-- Drops the old tables. Transactions that began before the new ones were in place may read them still. They are listed
-- when the change over is committed, and waited for. The new tables keep their names: who renamed them would pull them away
-- from under statements that have just been put together.
CREATE OR REPLACE FUNCTION colbert._retire_build(index colbert._index, build colbert._build)
RETURNS float8
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '200ms'
AS $_retire_build$
DECLARE
  _table regclass;
BEGIN
  IF build.transactions IS NULL THEN
    UPDATE colbert._build AS b SET transactions = colbert._transactions() WHERE b.index_id = index.id;
    EXECUTE format('ANALYZE %s (%I)', index.source, index.key);
    RETURN 0;
  ELSIF build.transactions && colbert._transactions() THEN
    RETURN 0.2;
  END IF;

  FOR _table IN SELECT t FROM colbert._build_tables(index) AS t LOOP
    EXECUTE format('DROP TABLE %s', _table);
  END LOOP;
  DELETE FROM colbert._build AS b WHERE b.index_id = index.id;
  RETURN NULL;
EXCEPTION WHEN lock_not_available THEN
  RETURN 0.5;
END
$_retire_build$;

COMMENT ON FUNCTION colbert._retire_build(colbert._index, colbert._build) IS
  'The step of a build that drops the tables that the index had before, when nobody can read them any more.';

-- The transactions of other sessions in this database, all that may hold a snapshot.
CREATE OR REPLACE FUNCTION colbert._transactions()
RETURNS text[]
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT coalesce(array_agg(l.virtualxid), '{}')
    FROM pg_catalog.pg_locks AS l
    JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
   WHERE l.locktype = 'virtualxid'
     AND l.granted
     AND l.virtualxid = l.virtualtransaction
     AND l.pid <> pg_backend_pid()
     AND a.usesysid IS NOT NULL
     AND a.datname = current_database();
END;

COMMENT ON FUNCTION colbert._transactions() IS
  'The virtual ids of the transactions of other sessions in this database.';
