-- The type under a domain, or under a domain over a domain.
CREATE OR REPLACE FUNCTION colbert._base_type(type oid)
RETURNS regtype
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  WITH RECURSIVE unfolded AS (
    SELECT t.oid, t.typbasetype FROM pg_catalog.pg_type AS t WHERE t.oid = type
    UNION ALL
    SELECT t.oid, t.typbasetype
      FROM unfolded AS u
      JOIN pg_catalog.pg_type AS t ON t.oid = u.typbasetype
  )
  SELECT u.oid::regtype FROM unfolded AS u WHERE u.typbasetype = 0;
END;

COMMENT ON FUNCTION colbert._base_type(oid) IS 'The type under a domain; any other type is its own.';
