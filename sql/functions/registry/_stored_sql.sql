-- SQL for an array of vectors as an array column of a type stores it. It is no cast for bits: bit[] would be bit(1)[].
CREATE OR REPLACE FUNCTION colbert._stored_sql(element regtype, vectors text)
RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY INVOKER
RETURN CASE WHEN element = 'bit'::regtype THEN format('colbert.binary_quantize(%s)', vectors)
            ELSE format('%s::%s[]', vectors, element) END;

COMMENT ON FUNCTION colbert._stored_sql(regtype, text) IS
  'SQL for an array of vectors as a column of a type stores it.';
