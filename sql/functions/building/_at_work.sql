CREATE OR REPLACE FUNCTION colbert._at_work(build colbert._build)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN build.pid <> pg_backend_pid()
       AND EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.pid = build.pid);

COMMENT ON FUNCTION colbert._at_work(colbert._build) IS
  'Whether the process that worked on a build last is another one, and still there.';
