-- Only the owner of a source may make, change or drop an index on it, as with CREATE INDEX.
CREATE OR REPLACE FUNCTION colbert._refuse_stranger(source regclass)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_stranger$
BEGIN
  IF NOT (SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class AS c WHERE c.oid = source) THEN
    RAISE EXCEPTION 'must be owner of table %', source
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'Ask its owner, or become a member of the owning role.';
  END IF;
END
$_refuse_stranger$;

COMMENT ON FUNCTION colbert._refuse_stranger(regclass) IS
  'Raises unless the caller owns the table.';
