-- Refuses a query that cannot be compared with the documents of an index.
CREATE OR REPLACE FUNCTION colbert._refuse_query(index colbert._index, query vector[])
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_query$
DECLARE
  _found record;
BEGIN
  PERFORM colbert._refuse_malformed(query, 'query');
  _found := colbert._document_problem(query, index.dimensions, colbert._normalized(index));
  IF _found.problem IS NOT NULL THEN
    RAISE EXCEPTION 'query: %', _found.problem
      USING ERRCODE = _found.code,
            DETAIL = format('The index is on column "%s" of table "%s".', index.embeddings, index.source),
            HINT = CASE WHEN _found.kind IN ('dimensions', 'length')
                        THEN 'Encode the query with the model of the documents; pass vectors of unit length.'
                        ELSE _found.hint END;
  END IF;
END
$_refuse_query$;

COMMENT ON FUNCTION colbert._refuse_query(colbert._index, vector[]) IS
  'Raises for a query with a bad token, with its position and a hint.';

-- A count that must be at least 1, such as k.
CREATE OR REPLACE FUNCTION colbert._refuse_count(name text, value integer)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_count$
BEGIN
  IF value IS NULL OR value < 1 THEN
    RAISE EXCEPTION '% must be at least 1, not %', name, coalesce(value::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value',
            HINT = format('Pass how many documents you want: %s => 10.', name);
  END IF;
END
$_refuse_count$;

COMMENT ON FUNCTION colbert._refuse_count(text, integer) IS 'Raises unless a count is at least 1.';

-- Keys come and go as text, whatever their own type, or as their own type: an integer of any size as bigint. key is the
-- key's type, without domains.
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

-- The argument key of a search names a type. A value is most often meant for k: what comes untyped in its place,
-- PostgreSQL takes for a text.
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
