-- A worker is there, and has encoded so many documents and tokens, or failed with so many, since it was last seen. A
-- claim brings none of them, and the time before it was not spent on work. A worker that was not seen for a day is
-- forgotten.
CREATE OR REPLACE FUNCTION colbert._saw_worker(
  index colbert._index, worker text, documents bigint, tokens bigint, failures bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_saw_worker$
DECLARE
  _name text := colbert._worker_name(worker);
BEGIN
  UPDATE colbert._worker AS w
     SET seen_at = statement_timestamp(),
         busy = w.busy + CASE WHEN _saw_worker.documents + _saw_worker.failures > 0 THEN statement_timestamp() - w.seen_at
                              ELSE interval '0' END,
         documents = w.documents + _saw_worker.documents,
         tokens = w.tokens + _saw_worker.tokens,
         failures = w.failures + _saw_worker.failures
   WHERE w.index_id = index.id AND w.role = current_user AND w.worker = _name;
  IF NOT FOUND THEN
    DELETE FROM colbert._worker AS w
     WHERE w.index_id = index.id AND w.role = current_user
       AND w.seen_at < statement_timestamp() - interval '1 day';
    INSERT INTO colbert._worker (index_id, worker, documents, tokens, failures)
    VALUES (index.id, _name, documents, tokens, failures)
    ON CONFLICT DO NOTHING;
  END IF;
END
$_saw_worker$;

COMMENT ON FUNCTION colbert._saw_worker(colbert._index, text, bigint, bigint, bigint) IS
  'Keeps account of what a worker has done.';
