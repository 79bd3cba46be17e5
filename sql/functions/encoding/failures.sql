-- The documents of an index that could not be encoded, as far as the caller may read them. Those of another's table are
-- read only when the caller named it.
CREATE OR REPLACE FUNCTION colbert._failures(index colbert._index, named boolean)
RETURNS TABLE (doc_id text, error text, attempts integer, failed_at timestamptz, retry_at timestamptz, worker text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_failures$
BEGIN
  IF (named OR colbert._is_own(index.source)) AND colbert._readable(index) THEN
    RETURN QUERY EXECUTE format(
      $failures$
      SELECT a.doc_id::text,
             CASE s.state WHEN 'failed' THEN a.error ELSE 'the worker was lost' END,
             a.attempts,
             CASE s.state WHEN 'failed' THEN a.failed_at ELSE a.due_at END,
             a.due_at,
             a.worker
        FROM %s AS a
       CROSS JOIN LATERAL colbert._attempt_state(a.claimed_at, a.due_at, a.failed_at) AS s (state)
       WHERE s.state IN ('failed', 'lost')
       ORDER BY 4 DESC
      $failures$,
      colbert._derived_table(index, 'attempts'));
  END IF;
END
$_failures$;

COMMENT ON FUNCTION colbert._failures(colbert._index, boolean) IS
  'The documents of an index that could not be encoded.';

CREATE OR REPLACE VIEW colbert.failures WITH (security_invoker = true) AS
SELECT i.source, i.embeddings, f.doc_id, f.error, f.attempts, f.failed_at, f.retry_at, f.worker
  FROM colbert._index AS i
 CROSS JOIN LATERAL colbert._failures(i, false) AS f;

COMMENT ON VIEW colbert.failures IS
  'The documents of the reader''s tables that could not be encoded, and when they are tried again; for tables of others there is the function failures.';

COMMENT ON COLUMN colbert.failures.source IS 'The table.';
COMMENT ON COLUMN colbert.failures.embeddings IS 'Its column of token-vector arrays.';
COMMENT ON COLUMN colbert.failures.doc_id IS 'The key of the document.';
COMMENT ON COLUMN colbert.failures.error IS 'What the encoder or the database said, the last time.';
COMMENT ON COLUMN colbert.failures.attempts IS 'How often it was tried.';
COMMENT ON COLUMN colbert.failures.failed_at IS 'When it failed the last time.';
COMMENT ON COLUMN colbert.failures.retry_at IS 'When it is due again; retry_failures makes it due at once.';
COMMENT ON COLUMN colbert.failures.worker IS 'Which worker tried.';

GRANT SELECT ON colbert.failures TO PUBLIC;

-- The same of one table, whoever owns it.
CREATE OR REPLACE FUNCTION colbert.failures(
  source regclass,
  OUT embeddings name, OUT doc_id text, OUT error text, OUT attempts integer, OUT failed_at timestamptz,
  OUT retry_at timestamptz, OUT worker text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT i.embeddings, f.doc_id, f.error, f.attempts, f.failed_at, f.retry_at, f.worker
    FROM colbert._index AS i
   CROSS JOIN LATERAL colbert._failures(i, true) AS f
   WHERE i.source = failures.source;
END;

COMMENT ON FUNCTION colbert.failures(regclass) IS
  'The documents of a table that could not be encoded, as far as the caller may read them: as the view failures, but of another''s table, too.';
