-- The knobs of a session that a search over shards hands on.
CREATE OR REPLACE FUNCTION colbert._known_knobs()
RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN '{effort, margin, candidates, patience, nprobe, hits, ef_search}'::text[];

COMMENT ON FUNCTION colbert._known_knobs() IS 'The names of all knobs.';
