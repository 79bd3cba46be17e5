-- Sets a pending document aside that could not be encoded: with the error, and for a time that doubles with every
-- attempt, from ten seconds to an hour. Returns when it is due again. NULL when the content is another by now, or the
-- document is not pending any more.
CREATE OR REPLACE FUNCTION colbert.report_failure(
  source regclass,
  doc_id text,
  content text,
  error text,
  worker text DEFAULT NULL,
  embeddings name DEFAULT NULL)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $report_failure$
DECLARE
  _first CONSTANT interval := interval '10 seconds';
  _index colbert._index := colbert._find_encoded_index(source, embeddings);
  _key record := colbert._attempt_key(_index);
  _due timestamptz;
BEGIN
  PERFORM colbert._refuse_ambiguous(_index, ARRAY[doc_id]);
  EXECUTE format(
    'WITH failed AS MATERIALIZED ('
    '  SELECT %7$s FROM %2$s AS s'
    '   WHERE s.%1$I = $1::%3$s AND s.%4$I IS NULL AND %5$s = $2'
    '     FOR NO KEY UPDATE) '
    'INSERT INTO %6$s AS a (%8$s, attempts, worker, claimed_at, due_at, failed_at, error) '
    'SELECT %8$s, 1, $4, statement_timestamp(), statement_timestamp() + $5, statement_timestamp(), $3'
    '  FROM failed '
    '    ON CONFLICT (%8$s) DO UPDATE '
    '   SET due_at = statement_timestamp() + colbert._retry_after($5, a.attempts),'
    '       failed_at = statement_timestamp(), worker = $4, error = $3 '
    'RETURNING due_at',
    _index.key, _index.source, (colbert._source_types(_index)).key_cast, _index.embeddings,
    colbert._content_sql(_index), colbert._derived_table(_index, 'attempts'), _key.taken, _key.columns)
     INTO _due
    USING doc_id, content, left(coalesce(error, 'no error was given'), 2000),
          colbert._worker_name(worker), _first;
  IF _due IS NOT NULL THEN
    PERFORM colbert._saw_worker(_index, worker, 0, 0, 1);
  END IF;
  RETURN _due;
END
$report_failure$;

COMMENT ON FUNCTION colbert.report_failure(regclass, text, text, text, text, name) IS
  'Sets a pending document aside with the error of its encoding; returns when it is due again: after ten seconds, twice as long each time, up to an hour.';
