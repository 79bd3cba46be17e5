-- The knobs that a search over shards hands on: those of the session, and share, which the search finds (_search_shards).
CREATE OR REPLACE FUNCTION colbert._known_knobs()
RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN '{effort, margin, candidates, patience, nprobe, hits, ef_search, share}'::text[];

COMMENT ON FUNCTION colbert._known_knobs() IS 'The names of all knobs.';
