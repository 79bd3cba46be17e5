-- The attempts at encoding pending documents: the table "attempts" of an index with a text column. A pending
-- document is a row of the source with a text and no array, nothing else; it has a row here while a worker
-- is at it or after it failed, which says when it is due again. So whatever is lost here is done again.
--
-- It is written by whoever may write the array in the source and see the row.
CREATE OR REPLACE FUNCTION colbert._create_attempts(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_create_attempts$
DECLARE
  _table regclass := colbert._create_derived(
    index, 'attempts',
    format('doc_id %s PRIMARY KEY, attempts integer NOT NULL, worker text NOT NULL, '
           'claimed_at timestamptz NOT NULL, due_at timestamptz NOT NULL, '
           'failed_at timestamptz, error text', (colbert._source_types(index)).key_type),
    'doc_id', colbert._text_column(index));
BEGIN
  EXECUTE format('CREATE INDEX ON %s (due_at)', _table);
  EXECUTE format('GRANT INSERT, UPDATE, DELETE ON TABLE %s TO PUBLIC', _table);
  EXECUTE format('CREATE POLICY writers_of_source ON %1$s '
                 'USING ((SELECT has_column_privilege(%2$L::regclass, %3$L, ''UPDATE'')) '
                 '  AND ((SELECT NOT row_security_active(%2$L::regclass)) '
                 '    OR EXISTS (SELECT FROM %2$s AS s WHERE s.%4$I = %1$s.doc_id OFFSET 0)))',
                 _table, index.source, index.embeddings, index.key);
END
$_create_attempts$;

COMMENT ON FUNCTION colbert._create_attempts(colbert._index) IS
  'Makes the table of attempts of an index with a text column.';

-- What is known of an attempt at encoding:
--
--   encoding    a worker is at it, until its lease ends
--   failed      the worker reported a failure; the document is due again at due_at
--   lost        the lease has ended, and nothing was heard of the worker
CREATE OR REPLACE FUNCTION colbert._attempt_state(claimed_at timestamptz, due_at timestamptz, failed_at timestamptz)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE
         WHEN failed_at >= claimed_at THEN 'failed'
         WHEN due_at > statement_timestamp() THEN 'encoding'
         ELSE 'lost'
       END;

COMMENT ON FUNCTION colbert._attempt_state(timestamptz, timestamptz, timestamptz) IS
  'encoding, failed or lost: what is known of an attempt at encoding.';

-- A document that is encoded, gone, or has another text starts afresh. Called by the triggers, under the lock of
-- the source row, as every change of an attempt is.
CREATE OR REPLACE FUNCTION colbert._forget_attempts(index colbert._index, doc_id text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_forget_attempts$
BEGIN
  IF colbert._text_column(index) IS NOT NULL THEN
    EXECUTE format('DELETE FROM %s AS a WHERE $1 IS NULL OR a.doc_id = $1::%s',
                   colbert._derived_table(index, 'attempts'), (colbert._source_types(index)).key_type)
      USING doc_id;
  END IF;
END
$_forget_attempts$;

COMMENT ON FUNCTION colbert._forget_attempts(colbert._index, text) IS
  'Forgets the attempts at encoding one document, or all; nothing for an index without a text column.';

-- When to try again: after twice as long each time, up to an hour.
CREATE OR REPLACE FUNCTION colbert._retry_after(first interval, attempts integer)
RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN least(first * 2 ^ least(attempts - 1, 20), greatest(first, interval '1 hour'));

COMMENT ON FUNCTION colbert._retry_after(interval, integer) IS
  'How long to wait after so many attempts: twice as long each time, up to an hour.';
