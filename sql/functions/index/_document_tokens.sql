CREATE OR REPLACE FUNCTION colbert._document_tokens(index colbert._index)
RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_document_tokens$
DECLARE
  _count text := colbert._operation(index.method, 'count');
  _tokens bigint;
BEGIN
  IF _count IS NOT NULL THEN
    EXECUTE format('SELECT %s($1)', _count) INTO _tokens USING index;
  END IF;
  RETURN _tokens;
END
$_document_tokens$;

COMMENT ON FUNCTION colbert._document_tokens(colbert._index) IS
  'About how many document tokens an index holds; NULL when its method does not know.';
