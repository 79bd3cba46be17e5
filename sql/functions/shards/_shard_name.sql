CREATE OR REPLACE FUNCTION colbert._shard_name(shard colbert._shard)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN format('shard "%s"%s', coalesce(shard.partition::text, shard.remote),
              CASE WHEN shard.server IS NOT NULL THEN format(' on server "%s"', shard.server) END);

COMMENT ON FUNCTION colbert._shard_name(colbert._shard) IS 'How messages name a shard.';
