-- A knob that is a positive number and not a count, such as effort. It has no argument.
CREATE OR REPLACE FUNCTION colbert._factor(name text, options jsonb, fallback float8)
RETURNS float8
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_factor$
DECLARE
  _session text := nullif(current_setting('colbert.' || name, true), '');
  _value text := coalesce(_session, options ->> name, fallback::text);
BEGIN
  IF _value !~ '^[0-9]{1,9}([.][0-9]*)?$' OR _value::float8 = 0 THEN
    RAISE EXCEPTION '% must be a positive number, not "%"', name, _value
      USING ERRCODE = 'invalid_parameter_value',
            HINT = CASE
                     WHEN _session IS NOT NULL THEN format('RESET colbert.%s, or set it anew.', name)
                     ELSE format('Set option "%s" of the index anew.', name)
                   END;
  END IF;
  RETURN _value::float8;
END
$_factor$;

COMMENT ON FUNCTION colbert._factor(text, jsonb, float8) IS
  'The value of a knob that is a positive number: SET colbert.<name>, else the index''s option, else the default.';
