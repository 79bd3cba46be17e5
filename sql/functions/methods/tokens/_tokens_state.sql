-- Whether pgvector's index on the token table is there, and for ivfflat whether the table has outgrown its lists.
CREATE OR REPLACE FUNCTION colbert._tokens_state(index colbert._index, OUT state text, OUT advice text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_state$
DECLARE
  _ann regclass := (colbert._pgvector_indexes(index, 'tokens', ARRAY[index.method]))[1];
  _lists integer;
BEGIN
  IF _ann IS NULL THEN
    state := 'broken';
    advice := format('%s has no %s index, run repair_index', colbert._registered_table(index, 'tokens'), index.method);
    RETURN;
  END IF;
  SELECT o.option_value::integer
    INTO _lists
    FROM pg_class AS c
   CROSS JOIN LATERAL pg_options_to_table(c.reloptions) AS o
   WHERE c.oid = _ann AND o.option_name = 'lists';
  IF colbert._tokens_count(index) > 4000.0 * _lists * greatest(1, _lists / 1000.0)
     AND NOT index.options ? 'lists' THEN
    state := 'stale';
    advice := format('built for fewer tokens with %s lists, run reindex', _lists);
  END IF;
END
$_tokens_state$;

COMMENT ON FUNCTION colbert._tokens_state(colbert._index) IS
  'Whether pgvector''s index on the token table is there, and fits the table; NULL when all is well.';
