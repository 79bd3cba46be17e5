-- Option triggers: see _option_types.
CREATE OR REPLACE FUNCTION colbert._triggers(index colbert._index)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN index.options -> 'triggers' IS DISTINCT FROM 'false'::jsonb;

COMMENT ON FUNCTION colbert._triggers(colbert._index) IS
  'Whether triggers keep the index in step.';
