-- The shards of every index over shards, with the state of each one's index. Each is asked, so that reading the view takes
-- as long as the slowest takes to answer. That is done for the caller's own tables alone: another's servers are not
-- connected to by looking at a view.
CREATE OR REPLACE VIEW colbert.shards WITH (security_invoker = true) AS
SELECT i.source, i.embeddings, s.shard, s.server, s.state, s.advice
  FROM colbert._index AS i
 CROSS JOIN LATERAL colbert._shard_states(i) AS s
 WHERE i.method = 'shards';

COMMENT ON VIEW colbert.shards IS
  'The shards of every table that has rows on other servers, and the state of each.';

COMMENT ON COLUMN colbert.shards.source IS 'The table.';
COMMENT ON COLUMN colbert.shards.embeddings IS 'Its column of token-vector arrays.';
COMMENT ON COLUMN colbert.shards.shard IS 'The partition, or the table on the node of Citus.';
COMMENT ON COLUMN colbert.shards.server IS 'The foreign server that it is on, or the node of Citus; NULL for a partition here.';
COMMENT ON COLUMN colbert.shards.state IS
  'That of its index, as in colbert.indexes: ready, stale, building or broken; or missing, or unreachable. NULL for who does not own the table.';
COMMENT ON COLUMN colbert.shards.advice IS 'What is the matter and what to do about it; NULL when it is ready.';

GRANT SELECT ON colbert.shards TO PUBLIC;
