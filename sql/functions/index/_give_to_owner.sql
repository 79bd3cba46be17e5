CREATE OR REPLACE FUNCTION colbert._owner(relation regclass)
RETURNS name
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class AS c WHERE c.oid = relation;
END;

COMMENT ON FUNCTION colbert._owner(regclass) IS 'The role that owns a table.';

-- Views for everybody read tables of the reader's own alone. To read another's, even to plan it, may run that other's
-- code (policies, views, casts, expressions of indexes) with the reader's rights, which may be a superuser's; so that is
-- for those who name the table.
CREATE OR REPLACE FUNCTION colbert._is_own(relation regclass)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN coalesce(colbert._owner(relation) = current_user, false);

COMMENT ON FUNCTION colbert._is_own(regclass) IS 'Whether a table is the caller''s own.';

-- What belongs to an index belongs to the owner of its source, whoever ran create_index.
CREATE OR REPLACE FUNCTION colbert._give_to_owner(index colbert._index, object text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_give_to_owner$
BEGIN
  EXECUTE format('ALTER %s OWNER TO %I', object,
                 colbert._owner(index.source));
END
$_give_to_owner$;

COMMENT ON FUNCTION colbert._give_to_owner(colbert._index, text) IS
  'ALTER … OWNER TO the owner of the source. The object comes quoted: TABLE a.b, FUNCTION a.b().';
