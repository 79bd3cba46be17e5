-- One transaction for everything below: what this statement sets is gone in the next one otherwise.
DO $remember$
BEGIN
  PERFORM pg_catalog.set_config('colbert_pg.installing', '@version@', true);
  PERFORM pg_catalog.set_config('colbert_pg.caller_search_path',
                                pg_catalog.current_setting('search_path'), true);
  -- DROP … IF EXISTS of a step says nothing, as inside CREATE EXTENSION
  PERFORM pg_catalog.set_config('colbert_pg.caller_messages',
                                pg_catalog.current_setting('client_min_messages'), true);
  PERFORM pg_catalog.set_config('client_min_messages', 'warning', true);
END
$remember$;

DO $transaction$
BEGIN
  IF pg_catalog.current_setting('colbert_pg.installing', true) IS DISTINCT FROM '@version@' THEN
    RAISE EXCEPTION 'install.sql must run inside one transaction'
      USING ERRCODE = 'no_active_sql_transaction',
            HINT = 'Use psql -1 -v ON_ERROR_STOP=1 -f install.sql, or BEGIN first and COMMIT after.';
  END IF;
END
$transaction$;
