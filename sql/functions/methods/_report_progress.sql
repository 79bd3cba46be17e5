-- Tells other sessions how far a build is: as the application_name in pg_stat_activity, which they see at once. What is
-- written to a table they would see after the commit. The caller needs a SET clause for application_name, at whose end
-- the caller's own comes back.
CREATE OR REPLACE FUNCTION colbert._report_progress(index colbert._index, progress text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_report_progress$
BEGIN
  PERFORM set_config('application_name', format('colbert_pg: %s (index %s)', progress, index.id), true);
END
$_report_progress$;

COMMENT ON FUNCTION colbert._report_progress(colbert._index, text) IS
  'Shows other sessions, in pg_stat_activity, how far the build of an index is.';
