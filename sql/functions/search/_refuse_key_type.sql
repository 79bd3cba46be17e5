-- Keys come and go as text, whatever their own type, or as their own type. Integers of any size come as bigint. key is
-- the key's type, without domains.
CREATE OR REPLACE FUNCTION colbert._refuse_key_type(source regclass, key regtype, given regtype)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_key_type$
DECLARE
  _own regtype := CASE WHEN key IN ('int2'::regtype, 'int4'::regtype) THEN 'int8'::regtype ELSE key END;
BEGIN
  IF given NOT IN (_own, 'text'::regtype) THEN
    RAISE EXCEPTION 'keys of table "%" are of type %, not %', source, key, given
      USING ERRCODE = 'datatype_mismatch',
            HINT = CASE _own
                     WHEN 'int8'::regtype THEN 'Leave key out of a search; pass ids of type bigint[] to rerank.'
                     WHEN 'uuid'::regtype THEN 'Pass key => NULL::uuid to a search, ids of type uuid[] to rerank.'
                     ELSE 'Pass key => NULL::text to a search, ids of type text[] to rerank.' END;
  END IF;
END
$_refuse_key_type$;

COMMENT ON FUNCTION colbert._refuse_key_type(regclass, regtype, regtype) IS
  'Raises when keys cannot be given or returned as the type that the caller uses.';
