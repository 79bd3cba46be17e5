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

-- Refuses options that nobody would read, and values of the wrong type. The rules are a jsonb object:
-- name -> "integer", "number", "boolean", "string", "any", or an array of the strings allowed.
CREATE OR REPLACE FUNCTION colbert._refuse_options(options jsonb, rules jsonb)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_options$
DECLARE
  _rule jsonb;
  _option record;
BEGIN
  IF options IS NULL OR jsonb_typeof(options) <> 'object' THEN
    RAISE EXCEPTION 'options must be a JSON object'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'For example options => ''{"candidates": 200}''.';
  END IF;

  FOR _option IN SELECT o.key AS name, o.value FROM jsonb_each(options) AS o LOOP
    _rule := rules -> _option.name;
    IF _rule IS NULL THEN
      RAISE EXCEPTION 'unknown option "%"', _option.name
        USING ERRCODE = 'invalid_parameter_value',
              HINT = format('Options of this method: %s.',
                            (SELECT string_agg(r, ', ' ORDER BY r) FROM jsonb_object_keys(rules) AS r));
    ELSIF (CASE _rule #>> '{}'
             WHEN 'any' THEN true
             WHEN 'boolean' THEN jsonb_typeof(_option.value) = 'boolean'
             WHEN 'string' THEN jsonb_typeof(_option.value) = 'string'
             WHEN 'number' THEN jsonb_typeof(_option.value) = 'number'
                                AND _option.value #>> '{}' ~ '^[0-9]{1,9}([.][0-9]*)?$' AND _option.value <> '0'
             WHEN 'integer' THEN jsonb_typeof(_option.value) = 'number'
                                 AND _option.value #>> '{}' ~ '^[1-9][0-9]{0,8}$'
             ELSE jsonb_typeof(_option.value) = 'string' AND _rule ? (_option.value #>> '{}')
           END) IS NOT TRUE THEN
      RAISE EXCEPTION 'option "%" must not be %', _option.name, _option.value
        USING ERRCODE = 'invalid_parameter_value',
              HINT = format('It takes %s.',
                            CASE _rule #>> '{}'
                              WHEN 'boolean' THEN 'true or false'
                              WHEN 'integer' THEN 'a whole number of at least 1'
                              WHEN 'number' THEN 'a positive number'
                              WHEN 'string' THEN 'a string'
                              ELSE 'one of ' || (_rule #>> '{}')
                            END);
    END IF;
  END LOOP;
END
$_refuse_options$;

COMMENT ON FUNCTION colbert._refuse_options(jsonb, jsonb) IS
  'Raises for an option that is not in the rules, or has a value of another type.';
