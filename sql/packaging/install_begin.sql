-- Settings for what follows. install_end.sql gives the caller's own back.
DO $remember$
BEGIN
  PERFORM pg_catalog.set_config('colbert_pg.caller_search_path',
                                pg_catalog.current_setting('search_path'), true);
  -- DROP … IF EXISTS of a step says nothing, as inside CREATE EXTENSION
  PERFORM pg_catalog.set_config('colbert_pg.caller_messages',
                                pg_catalog.current_setting('client_min_messages'), true);
  PERFORM pg_catalog.set_config('client_min_messages', 'warning', true);
END
$remember$;
