-- Makes the documents that failed due at once, as if they had never been tried: for when what made them fail has been
-- mended. Returns how many there were.
CREATE OR REPLACE FUNCTION colbert.retry_failures(source regclass, embeddings name DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $retry_failures$
DECLARE
  _index colbert._index := colbert._find_encoded_index(source, embeddings);
  _failures bigint;
BEGIN
  EXECUTE format('DELETE FROM %s AS a '
                 ' WHERE colbert._attempt_state(a.claimed_at, a.due_at, a.failed_at) IN (''failed'', ''lost'')',
                 colbert._derived_table(_index, 'attempts'));
  GET DIAGNOSTICS _failures = ROW_COUNT;
  PERFORM colbert._notify_workers(_index.id);
  RETURN _failures;
END
$retry_failures$;

COMMENT ON FUNCTION colbert.retry_failures(regclass, name) IS
  'Makes the documents that failed due at once; returns how many there were.';
