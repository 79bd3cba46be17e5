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
