-- How many documents of an index wait, are being encoded, and have failed. NULLs where the caller may not read them.
-- Those of another's table are read only when the caller named it.
CREATE OR REPLACE FUNCTION colbert._pending(
  index colbert._index, named boolean, OUT pending bigint, OUT encoding bigint, OUT failed bigint, OUT retry_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_pending$
BEGIN
  IF (named OR colbert._is_own(index.source)) AND colbert._readable(index) THEN
    EXECUTE format('SELECT count(*) FROM %s AS s WHERE s.%I IS NULL AND %s IS NOT NULL',
                   index.source, index.embeddings, colbert._encoded_sql(index))
       INTO pending;
    EXECUTE format(
      $attempts$
      SELECT count(*) FILTER (WHERE s.state = 'encoding'),
             count(*) FILTER (WHERE s.state IN ('failed', 'lost')),
             min(a.due_at) FILTER (WHERE s.state = 'failed')
        FROM %s AS a
       CROSS JOIN LATERAL colbert._attempt_state(a.claimed_at, a.due_at, a.failed_at) AS s (state)
      $attempts$,
      colbert._derived_table(index, 'attempts'))
       INTO encoding, failed, retry_at;
  END IF;
END
$_pending$;

COMMENT ON FUNCTION colbert._pending(colbert._index, boolean) IS
  'How many documents of an index are pending, are being encoded, and have failed.';

CREATE OR REPLACE VIEW colbert.pending WITH (security_invoker = true) AS
SELECT i.source,
       i.embeddings,
       coalesce(i.options ->> 'text', i.options ->> 'pictures') AS text,
       i.options -> 'model' AS model,
       p.pending,
       p.encoding,
       p.failed,
       p.retry_at,
       w.workers,
       w.documents_per_minute,
       CASE WHEN w.documents_per_minute > 0
            THEN date_trunc('second', p.pending / w.documents_per_minute::float8 * interval '1 minute')
       END AS time_left
  FROM colbert._index AS i
 CROSS JOIN LATERAL colbert._pending(i, false) AS p
 CROSS JOIN LATERAL (SELECT count(*) AS workers,
                            sum(v.documents_per_minute) AS documents_per_minute
                       FROM colbert.workers AS v
                      WHERE v.source = i.source AND v.embeddings = i.embeddings
                        AND v.seen_at > statement_timestamp() - interval '2 minutes') AS w
 WHERE colbert._is_encoded(i);

COMMENT ON VIEW colbert.pending IS
  'For every index with a column that workers encode: how many documents have no vectors yet, how fast they are encoded, and how long it will take.';

COMMENT ON COLUMN colbert.pending.source IS 'The table.';
COMMENT ON COLUMN colbert.pending.embeddings IS 'Its column of token-vector arrays.';
COMMENT ON COLUMN colbert.pending.text IS 'The column of texts or of pictures that is encoded, or the expression, as given to create_index.';
COMMENT ON COLUMN colbert.pending.model IS 'The model: the fingerprint of the workers'' encoder, NULL before the first one.';
COMMENT ON COLUMN colbert.pending.pending IS
  'How many documents have a text or a picture and no vectors, those of the next two columns included; NULL in tables of others, for which there is the function pending.';
COMMENT ON COLUMN colbert.pending.encoding IS 'How many of them a worker is at.';
COMMENT ON COLUMN colbert.pending.failed IS 'How many of them have failed: see colbert.failures.';
COMMENT ON COLUMN colbert.pending.retry_at IS 'When the first of those is due again.';
COMMENT ON COLUMN colbert.pending.workers IS 'How many workers were seen in the last two minutes.';
COMMENT ON COLUMN colbert.pending.documents_per_minute IS 'What these encode, together.';
COMMENT ON COLUMN colbert.pending.time_left IS 'How long the pending documents will take them.';

GRANT SELECT ON colbert.pending TO PUBLIC;

-- The same of one table, whoever owns it.
CREATE OR REPLACE FUNCTION colbert.pending(
  source regclass,
  OUT embeddings name, OUT pending bigint, OUT encoding bigint, OUT failed bigint, OUT retry_at timestamptz)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT i.embeddings, p.pending, p.encoding, p.failed, p.retry_at
    FROM colbert._index AS i
   CROSS JOIN LATERAL colbert._pending(i, true) AS p
   WHERE i.source = pending.source
     AND colbert._is_encoded(i);
END;

COMMENT ON FUNCTION colbert.pending(regclass) IS
  'How many documents of a table have no vectors yet, are being encoded, and have failed: as the view pending, but of another''s table, too.';
