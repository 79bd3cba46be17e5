-- Refuses options that nobody would read, and values of the wrong type. types is a jsonb object: name -> "integer",
-- "number", "boolean", "string", "any", or an array of the strings allowed.
CREATE OR REPLACE FUNCTION colbert._refuse_options(options jsonb, types jsonb)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_options$
DECLARE
  _type jsonb;
  _option record;
BEGIN
  IF options IS NULL OR jsonb_typeof(options) <> 'object' THEN
    RAISE EXCEPTION 'options must be a JSON object'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'For example options => ''{"candidates": 200}''.';
  END IF;

  FOR _option IN SELECT o.key AS name, o.value FROM jsonb_each(options) AS o LOOP
    _type := types -> _option.name;
    IF _type IS NULL THEN
      RAISE EXCEPTION 'unknown option "%"', _option.name
        USING ERRCODE = 'invalid_parameter_value',
              HINT = format('Options of this method: %s.',
                            (SELECT string_agg(r, ', ' ORDER BY r) FROM jsonb_object_keys(types) AS r));
    ELSIF (CASE _type #>> '{}'
             WHEN 'any' THEN true
             WHEN 'boolean' THEN jsonb_typeof(_option.value) = 'boolean'
             WHEN 'string' THEN jsonb_typeof(_option.value) = 'string'
             WHEN 'number' THEN jsonb_typeof(_option.value) = 'number'
                                AND _option.value #>> '{}' ~ '^[0-9]{1,9}([.][0-9]*)?$' AND _option.value <> '0'
             WHEN 'integer' THEN jsonb_typeof(_option.value) = 'number'
                                 AND _option.value #>> '{}' ~ '^[1-9][0-9]{0,8}$'
             ELSE jsonb_typeof(_option.value) = 'string' AND _type ? (_option.value #>> '{}')
           END) IS NOT TRUE THEN
      RAISE EXCEPTION 'option "%" must not be %', _option.name, _option.value
        USING ERRCODE = 'invalid_parameter_value',
              HINT = format('It takes %s.',
                            CASE _type #>> '{}'
                              WHEN 'boolean' THEN 'true or false'
                              WHEN 'integer' THEN 'a whole number of at least 1'
                              WHEN 'number' THEN 'a positive number'
                              WHEN 'string' THEN 'a string'
                              ELSE 'one of ' || (_type #>> '{}')
                            END);
    END IF;
  END LOOP;
END
$_refuse_options$;

COMMENT ON FUNCTION colbert._refuse_options(jsonb, jsonb) IS
  'Raises for an option that is unknown, or has a value of another type.';
