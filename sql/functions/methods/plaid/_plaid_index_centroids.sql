-- pgvector's ivfflat finds the nearest centroids faster than its hnsw does, and builds faster. Its lists are short,
-- because pgvector sorts all that it reads of them. Few centroids have no index. An index that grew from an empty table
-- has none until reindex.
CREATE OR REPLACE FUNCTION colbert._plaid_index_centroids(centroids regclass, expected integer)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_index_centroids$
BEGIN
  IF expected >= colbert._plaid_few() THEN
    EXECUTE format('CREATE INDEX ON %s USING ivfflat (centroid %I.halfvec_ip_ops) WITH (lists = %s)',
                   centroids, colbert._vector_schema(), (3 * sqrt(expected))::integer);
  END IF;
  EXECUTE format('ANALYZE %s', centroids);
END
$_plaid_index_centroids$;

COMMENT ON FUNCTION colbert._plaid_index_centroids(regclass, integer) IS
  'Builds pgvector''s index on a table of centroids, unless they are few.';
