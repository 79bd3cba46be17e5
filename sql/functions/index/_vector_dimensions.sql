-- The length of the vectors in a column: as declared (vector(128)[]), as the options say, or that of the first vector
-- there is.
CREATE OR REPLACE FUNCTION colbert._vector_dimensions(source regclass, embeddings name, options jsonb)
RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_vector_dimensions$
DECLARE
  _declared integer;
  _dimensions integer := (options ->> 'dimensions')::integer;
BEGIN
  SELECT nullif(a.atttypmod, -1)
    INTO _declared
    FROM pg_attribute AS a
   WHERE a.attrelid = source AND a.attname = embeddings;

  IF _declared <> _dimensions THEN
    RAISE EXCEPTION 'column "%" of table "%" is declared with % dimensions, options say %',
                    embeddings, source, _declared, _dimensions
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Leave option "dimensions" out.';
  END IF;

  _dimensions := coalesce(_declared, _dimensions);
  IF _dimensions IS NULL THEN
    EXECUTE format('SELECT colbert._dimensions((SELECT t FROM unnest(s.%1$I) AS t LIMIT 1)) '
                   '  FROM %2$s AS s WHERE cardinality(s.%1$I) > 0 LIMIT 1', embeddings, source)
       INTO _dimensions;
  END IF;
  IF _dimensions IS NULL THEN
    RAISE EXCEPTION 'the dimensions of column "%" of table "%" are not known', embeddings, source
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Declare it as vector(128)[], or pass options => ''{"dimensions": 128}''.';
  END IF;
  RETURN _dimensions;
END
$_vector_dimensions$;

COMMENT ON FUNCTION colbert._vector_dimensions(regclass, name, jsonb) IS
  'The dimensions of a column''s vectors: declared, given as an option, or read from the first vector.';
