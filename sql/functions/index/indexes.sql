-- Every index, as a psql user wants to see it. Counts are the planner's, as of the last ANALYZE, and NULL before the
-- first one. Row-level security hides rows from a search. It does not hide their estimated number from this view, which
-- pg_class tells anybody.
CREATE OR REPLACE VIEW colbert.indexes WITH (security_invoker = true) AS
SELECT i.source,
       i.embeddings,
       i.key,
       i.method,
       i.dimensions,
       i.options,
       (SELECT nullif(c.reltuples, -1)::bigint FROM pg_catalog.pg_class AS c WHERE c.oid = i.source) AS documents,
       colbert._method_count(i) AS tokens,
       size.bytes AS index_bytes,
       pg_catalog.pg_size_pretty(size.bytes) AS index_size,
       condition.state,
       condition.advice
  FROM colbert._index AS i
 CROSS JOIN LATERAL colbert._index_state(i) AS condition
 CROSS JOIN LATERAL (SELECT coalesce(sum(pg_catalog.pg_total_relation_size(t)), 0)::bigint AS bytes
                       FROM colbert._derived_tables(i) AS t) AS size;

COMMENT ON VIEW colbert.indexes IS
  'Every late-interaction index: what it is on, its method and options, its size, and whether it is ready, stale, building or broken.';

COMMENT ON COLUMN colbert.indexes.source IS 'The table that is indexed.';
COMMENT ON COLUMN colbert.indexes.embeddings IS 'Its column of token-vector arrays.';
COMMENT ON COLUMN colbert.indexes.key IS 'Its column that names a document.';
COMMENT ON COLUMN colbert.indexes.method IS 'exact, hnsw, ivfflat, plaid, staged, or shards.';
COMMENT ON COLUMN colbert.indexes.dimensions IS 'The length of every vector.';
COMMENT ON COLUMN colbert.indexes.options IS 'As given to create_index.';
COMMENT ON COLUMN colbert.indexes.documents IS 'About how many rows the table has, as of its last ANALYZE.';
COMMENT ON COLUMN colbert.indexes.tokens IS
  'About how many document tokens the index holds, as of its last ANALYZE; NULL where nothing is derived, and of a plaid index for who does not own it.';
COMMENT ON COLUMN colbert.indexes.index_bytes IS 'The size of all that was derived.';
COMMENT ON COLUMN colbert.indexes.index_size IS 'The same for people.';
COMMENT ON COLUMN colbert.indexes.state IS 'ready, stale, building or broken.';
COMMENT ON COLUMN colbert.indexes.advice IS 'What is the matter, or what makes searches slow, and what to do about it; NULL when nothing is.';

GRANT SELECT ON colbert.indexes TO PUBLIC;
