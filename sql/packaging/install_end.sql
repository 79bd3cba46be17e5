-- A caller that goes on in this transaction gets its own settings back.
DO $restore$
BEGIN
  PERFORM pg_catalog.set_config('search_path',
                                pg_catalog.current_setting('colbert_pg.caller_search_path'), true);
  PERFORM pg_catalog.set_config('client_min_messages',
                                pg_catalog.current_setting('colbert_pg.caller_messages'), true);
END
$restore$;
