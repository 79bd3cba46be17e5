-- NULL for a column of another type, and for one that is not there.
CREATE OR REPLACE FUNCTION colbert._element_type(source regclass, embeddings name)
RETURNS regtype
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT t.typelem::regtype
    FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
   WHERE a.attrelid = source
     AND a.attname = embeddings
     AND a.attnum > 0
     AND NOT a.attisdropped
     AND a.atttypid IN ('vector[]'::regtype, 'halfvec[]'::regtype, 'bit[]'::regtype);
END;

COMMENT ON FUNCTION colbert._element_type(regclass, name) IS
  'The element type of a column of token vectors, vector, halfvec or bit; NULL for any other column.';
