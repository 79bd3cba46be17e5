-- Option triggers: see _option_types. An index over shards has none: each partition has its own, and a row trigger of the
-- parent would be cloned to those on other servers.
CREATE OR REPLACE FUNCTION colbert._triggers(index colbert._index)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN index.options -> 'triggers' IS DISTINCT FROM 'false'::jsonb AND index.method <> 'shards';

COMMENT ON FUNCTION colbert._triggers(colbert._index) IS
  'Whether triggers keep the index in step.';
