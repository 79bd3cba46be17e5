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
