CREATE OR REPLACE FUNCTION colbert._refuse_search(index colbert._index, query vector[], k integer, key anyelement)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_search$
BEGIN
  PERFORM colbert._refuse_query(index, query),
          colbert._refuse_count('k', k),
          colbert._refuse_key_value(key);
END
$_refuse_search$;

COMMENT ON FUNCTION colbert._refuse_search(colbert._index, vector[], integer, anyelement) IS
  'Raises for a query, a k or a key with which no search can be made.';

-- The argument key of a search names a type. A value in its place is most often meant for k: PostgreSQL takes what is
-- untyped there for a text.
CREATE OR REPLACE FUNCTION colbert._refuse_key_value(key anyelement)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_key_value$
BEGIN
  IF key IS NOT NULL THEN
    RAISE EXCEPTION 'key names a type, it takes no value'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = format('Pass key => NULL::%s. If the value is how many documents you want, name it or cast it: '
                          'k => 10, or $3::int.', pg_typeof(key));
  END IF;
END
$_refuse_key_value$;

COMMENT ON FUNCTION colbert._refuse_key_value(anyelement) IS 'Raises for a key that has a value.';
