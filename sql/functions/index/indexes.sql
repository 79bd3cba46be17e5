-- Every index, as a psql user wants to see it. Counts are the planner's, as of the last ANALYZE; NULL before
-- the first one. Row-level security hides rows from a search, not their estimated number from this view,
-- which pg_class tells anybody.
CREATE OR REPLACE VIEW colbert.indexes WITH (security_invoker = true) AS
SELECT i.source,
       i.embeddings,
       i.key,
       i.method,
       i.dimensions,
       i.options,
       nullif(c.reltuples, -1)::bigint AS documents,
       colbert._document_tokens(i) AS tokens,
       size.bytes AS index_bytes,
       pg_catalog.pg_size_pretty(size.bytes) AS index_size,
       colbert._index_state(i) AS state
  FROM colbert._index AS i
  LEFT JOIN pg_catalog.pg_class AS c ON c.oid = i.source
 CROSS JOIN LATERAL (SELECT coalesce(sum(pg_catalog.pg_total_relation_size(t)), 0)::bigint AS bytes
                       FROM colbert._derived_tables(i) AS t) AS size;

COMMENT ON VIEW colbert.indexes IS
  'Every late-interaction index: what it is on, its method and options, its size, and whether it is ready, stale or broken.';

GRANT SELECT ON colbert.indexes TO PUBLIC;
