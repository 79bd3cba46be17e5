-- A caller that goes on in this transaction gets its own search_path back.
DO $restore$
BEGIN
  PERFORM pg_catalog.set_config('search_path',
                                pg_catalog.current_setting('colbert_pg.caller_search_path'), true);
  PERFORM pg_catalog.set_config('colbert_pg.installing', '', true);
END
$restore$;
