-- For statements that run under the caller's search_path. format_type would leave out the schema that is on this one.
CREATE OR REPLACE FUNCTION colbert._type_name(type regtype)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT format('%I.%I', n.nspname, t.typname)
    FROM pg_catalog.pg_type AS t
    JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
   WHERE t.oid = type;
END;

COMMENT ON FUNCTION colbert._type_name(regtype) IS 'The name of a type with its schema, for statements run under the caller''s search_path.';
