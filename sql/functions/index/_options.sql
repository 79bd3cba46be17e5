-- The options that indexes of every method understand; a method adds its own (methods/*/options).
--
--   normalized   true: vectors have unit length, and others are refused (default true)
--   dimensions   of every vector, for a column declared without: vector[] instead of vector(128)[]
--   model        whatever names the model of the vectors: the Python client keeps a fingerprint here
--   text         the column that workers encode: a row with a text and no array is pending
--   triggers     false: no triggers; writers call colbert.upsert (default true)
--   effort       how much of the index a search reads, in times of what it reads by itself (search/_effort.sql)
--   margin       by how many standard deviations the next candidate must fall short before a search stops
--   candidates   how many documents a search scores exactly, instead of judging for itself
--   patience     how many in a row may change nothing before it stops, instead of judging for itself
CREATE OR REPLACE FUNCTION colbert._normalized(index colbert._index)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN index.options -> 'normalized' IS DISTINCT FROM 'false'::jsonb;

COMMENT ON FUNCTION colbert._normalized(colbert._index) IS
  'Whether the index takes unit vectors only.';

CREATE OR REPLACE FUNCTION colbert._triggers(index colbert._index)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN index.options -> 'triggers' IS DISTINCT FROM 'false'::jsonb;

COMMENT ON FUNCTION colbert._triggers(colbert._index) IS
  'Whether triggers keep the index in step.';

-- A whole number of at least 1 from the first of: the argument, the session's SET colbert.<name>, the
-- index's options, the default. NULL where nobody names one and there is no default.
CREATE OR REPLACE FUNCTION colbert._knob(
  name text, argument integer, options jsonb, fallback integer)
RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_knob$
DECLARE
  _session text := nullif(current_setting('colbert.' || name, true), '');
  _value text := coalesce(argument::text, _session, options ->> name,
                         CASE WHEN fallback > 999999999 THEN '999999999' ELSE fallback::text END);
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

-- A positive number in the same way: a knob that is not a count, such as effort.
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

