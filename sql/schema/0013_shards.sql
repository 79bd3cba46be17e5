-- 0.3.0: indexes over partitions on other servers
ALTER TABLE colbert._index
  DROP CONSTRAINT _index_method_check,
  ADD CONSTRAINT _index_method_check CHECK (method IN ('exact', 'hnsw', 'ivfflat', 'plaid', 'shards'));

CREATE TYPE colbert._shard AS (
  partition regclass,
  server name,
  remote text,
  connection text
);

COMMENT ON TYPE colbert._shard IS 'A shard of an index of method shards: see the function colbert._shards_of.';
COMMENT ON COLUMN colbert._shard.partition IS 'The partition here.';
COMMENT ON COLUMN colbert._shard.server IS 'The foreign server that it is on; NULL for a local partition.';
COMMENT ON COLUMN colbert._shard.remote IS 'The table as SQL writes it where it is.';
COMMENT ON COLUMN colbert._shard.connection IS 'The name of the connection of dblink that asks it.';
