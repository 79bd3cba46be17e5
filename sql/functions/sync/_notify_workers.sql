-- Tells the workers that listen that there is something to encode: once for each transaction and index, when it
-- commits.
CREATE OR REPLACE FUNCTION colbert._notify_workers(index_id integer)
RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT pg_notify('colbert_pending', index_id::text);
END;

COMMENT ON FUNCTION colbert._notify_workers(integer) IS
  'NOTIFY colbert_pending, with the number of an index.';
