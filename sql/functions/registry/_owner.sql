CREATE OR REPLACE FUNCTION colbert._owner(relation regclass)
RETURNS name
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class AS c WHERE c.oid = relation;
END;

COMMENT ON FUNCTION colbert._owner(regclass) IS 'The role that owns a table.';
