-- The schema, owned by whoever installs; installs at the same time wait for one another here.
-- Leaves the search_path that CREATE EXTENSION would set: colbert, pgvector's schema, pg_temp.
DO $schema$
DECLARE
  _lock CONSTANT bigint := 7166185020517810021;  -- any number, the same in every version
  _owner name;
  _vector_schema name;
  _newest integer[];
BEGIN
  PERFORM pg_catalog.pg_advisory_xact_lock(_lock);

  IF EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname = 'colbert_pg') THEN
    RAISE EXCEPTION 'colbert_pg is installed as an extension in database "%"',
                    pg_catalog.current_database()
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Run ALTER EXTENSION colbert_pg UPDATE instead of install.sql.';
  END IF;

  SELECT pg_catalog.pg_get_userbyid(n.nspowner)
    INTO _owner
    FROM pg_catalog.pg_namespace n
   WHERE n.nspname = 'colbert';

  IF NOT FOUND THEN
    CREATE SCHEMA colbert;
  ELSIF _owner <> current_user THEN
    RAISE EXCEPTION 'schema "colbert" belongs to role "%"', _owner
      USING ERRCODE = 'insufficient_privilege',
            DETAIL = pg_catalog.format('The installing role is "%s".', current_user),
            HINT = pg_catalog.format('Install as that role, or SET ROLE %I first.', _owner);
  END IF;

  IF pg_catalog.to_regclass('colbert._migration') IS NOT NULL THEN
    SELECT pg_catalog.max(pg_catalog.string_to_array(m.version, '.')::integer[])
      INTO _newest
      FROM colbert._migration m;
    IF _newest > pg_catalog.string_to_array('@version@', '.')::integer[] THEN
      RAISE EXCEPTION 'a newer colbert_pg is installed in database "%"',
                      pg_catalog.current_database()
        USING ERRCODE = 'object_not_in_prerequisite_state',
              DETAIL = pg_catalog.format('Installed: %s or newer. This install.sql: @version@.',
                                         pg_catalog.array_to_string(_newest, '.')),
              HINT = 'Use the install.sql of that version or of a newer one.';
    END IF;
  END IF;

  SELECT n.nspname
    INTO STRICT _vector_schema
    FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
   WHERE e.extname = 'vector';
  PERFORM pg_catalog.set_config('search_path',
                                pg_catalog.format('colbert, %I, pg_temp', _vector_schema), true);
END
$schema$;
