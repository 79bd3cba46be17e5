-- Option normalized: see _option_types.
CREATE OR REPLACE FUNCTION colbert._normalized(index colbert._index)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN index.options -> 'normalized' IS DISTINCT FROM 'false'::jsonb;

COMMENT ON FUNCTION colbert._normalized(colbert._index) IS
  'Whether the index takes unit vectors only.';
