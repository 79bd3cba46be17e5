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
