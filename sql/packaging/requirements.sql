-- PostgreSQL 15 or newer, pgvector 0.8.0 or newer; loads pgvector's library, so that a role that is
-- not a superuser may create functions with SET hnsw.ef_search and the like.
DO $requirements$
DECLARE
  _vector_schema text;
  _vector_version text;
BEGIN
  IF pg_catalog.current_setting('server_version_num')::integer < 150000 THEN
    RAISE EXCEPTION 'colbert_pg needs PostgreSQL 15 or newer'
      USING ERRCODE = 'feature_not_supported',
            DETAIL = pg_catalog.format('This server is PostgreSQL %s.',
                                       pg_catalog.current_setting('server_version')),
            HINT = 'Upgrade the server.';
  END IF;

  SELECT n.nspname, e.extversion
    INTO _vector_schema, _vector_version
    FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
   WHERE e.extname = 'vector';

  IF NOT FOUND THEN
    RAISE EXCEPTION 'colbert_pg needs pgvector, which is not installed in database "%"',
                    pg_catalog.current_database()
      USING ERRCODE = 'undefined_object',
            HINT = 'Run CREATE EXTENSION vector, then install again.';
  END IF;

  IF (pg_catalog.regexp_match(_vector_version, '^(\d+)\.(\d+)'))::integer[] < ARRAY[0, 8] THEN
    RAISE EXCEPTION 'colbert_pg needs pgvector 0.8.0 or newer'
      USING ERRCODE = 'feature_not_supported',
            DETAIL = pg_catalog.format('This database has pgvector %s.', _vector_version),
            HINT = 'Install a newer pgvector on the server and run ALTER EXTENSION vector UPDATE.';
  END IF;

  EXECUTE pg_catalog.format('SELECT %L::%I.vector', '[1]', _vector_schema);
END
$requirements$;
