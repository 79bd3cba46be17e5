-- 0.3.0: shards of tables that Citus has distributed
DROP VIEW IF EXISTS colbert.shards;
DROP FUNCTION IF EXISTS colbert._shard_states(colbert._index);

COMMENT ON COLUMN colbert._shard.partition IS 'The partition here; NULL for a shard of Citus.';
COMMENT ON COLUMN colbert._shard.server IS 'The foreign server or the node of Citus that it is on; NULL for a local partition.';
COMMENT ON COLUMN colbert._shard.connection IS 'The name of the connection of dblink that asks it; NULL for a local partition and a shard of Citus.';
DROP FUNCTION IF EXISTS colbert._keys_in_bucket(colbert._index, integer, integer);
