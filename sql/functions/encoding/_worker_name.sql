-- A worker that does not say its name is known by its session.
CREATE OR REPLACE FUNCTION colbert._worker_name(worker text)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN coalesce(worker, 'session ' || pg_backend_pid());

COMMENT ON FUNCTION colbert._worker_name(text) IS 'The name of a worker: its session, where it gives none.';
