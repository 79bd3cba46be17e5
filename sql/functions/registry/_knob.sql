-- A knob is what the session sets and an option of the index stores for searching. Its value is the first of: the
-- argument, SET colbert.<name>, the index's option, the default. It is a whole number of at least 1. NULL where nobody
-- names one and there is no default.
CREATE OR REPLACE FUNCTION colbert._knob(
  name text, argument integer, options jsonb, fallback integer)
RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_knob$
DECLARE
  _session text := nullif(current_setting('colbert.' || name, true), '');
  _value text := coalesce(argument::text, _session, options ->> name,
                         colbert._to_count(fallback)::text);
BEGIN
  IF _value !~ '^[1-9][0-9]{0,8}$' THEN
    RAISE EXCEPTION '% must be a whole number from 1 to 999999999, not "%"', name, _value
      USING ERRCODE = 'invalid_parameter_value',
            HINT = CASE
                     WHEN argument IS NOT NULL THEN format('Pass another value for %s.', name)
                     WHEN _session IS NOT NULL THEN format('RESET colbert.%s, or set it anew.', name)
                     ELSE format('Set option "%s" of the index anew.', name)
                   END;
  END IF;
  RETURN _value::integer;
END
$_knob$;

COMMENT ON FUNCTION colbert._knob(text, integer, jsonb, integer) IS
  'The value of a search knob: the argument, else SET colbert.<name>, else the index''s option, else the default.';
