-- Trained centroids get an ivfflat index, which finds the nearest more surely than hnsw does in the same time: of 123,000,
-- three lists had it for .86 of the tokens, hnsw with 8 neighbours for .75, with 16 for .82. Its lists are short, because
-- pgvector sorts all that it reads of them. Few centroids, of which there may be none yet, get an hnsw index, which grows
-- with them. Measured on SciFact, from an empty table: documents go in at .6 to .7 of the speed of a trained index, where
-- comparing grown centroids one by one took a thirtieth. With pgvector's own m and ef_construction, twice those here, it
-- takes twice as long.
--
-- pgvector refuses to learn lists in less memory than it needs: for each of 50 tokens a list the vector and a distance to
-- every list, and the distances between lists. That is more than maintenance_work_mem's default of 64 MB from four million
-- tokens on, and 800 MB for sixty million. So as much is allowed, whatever the setting is.
CREATE OR REPLACE FUNCTION colbert._plaid_index_centroids(centroids regclass, expected integer)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET maintenance_work_mem = '64MB'
AS $_plaid_index_centroids$
DECLARE
  _lists bigint := 3 * sqrt(expected);
  _sample bigint := greatest(10000, 50 * _lists);
  _vector bigint;
BEGIN
  IF expected >= colbert._plaid_few_centroids() THEN
    EXECUTE format('SELECT pg_column_size(c.centroid) FROM %s AS c LIMIT 1', centroids) INTO _vector;
    PERFORM set_config('maintenance_work_mem', greatest(65536, 1.1 * (
              _sample * (_vector + 16 + 4 * _lists) + _lists * (4 * _vector + 4 * _lists)) / 1024)::bigint || 'kB', true);
    EXECUTE format('CREATE INDEX ON %s USING ivfflat (centroid %I.halfvec_ip_ops) WITH (lists = %s)',
                   centroids, colbert._vector_schema(), _lists);
  ELSE
    EXECUTE format('CREATE INDEX ON %s USING hnsw (centroid %I.halfvec_ip_ops) WITH (m = 8, ef_construction = 32)', centroids, colbert._vector_schema());
  END IF;
  EXECUTE format('ANALYZE %s', centroids);
END
$_plaid_index_centroids$;

COMMENT ON FUNCTION colbert._plaid_index_centroids(regclass, integer) IS
  'Builds pgvector''s index on a table of centroids: ivfflat, or hnsw while they are few.';
