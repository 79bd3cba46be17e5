-- The first step trains the centroids on what is in the source. Each step after that files a batch of documents, in
-- parallel workers where the server has them. The last one writes the postings of all. A build that keeps what was learned
-- takes centroids and documents over in the first step. An index that is kept apart is built part by part
-- (_plaid_build_part_step).
CREATE OR REPLACE FUNCTION colbert._plaid_build_step(index colbert._index, step integer, steps integer)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_build_step$
DECLARE
  _former colbert._index := colbert._plaid_former(index);
BEGIN
  IF colbert._tenant_column(index) IS NOT NULL THEN
    PERFORM colbert._plaid_build_part_step(index, step, steps);
  ELSIF step = 1 AND _former.tables <> index.tables THEN
    PERFORM colbert._plaid_keep(index, _former);
  ELSIF step = 1 THEN
    PERFORM colbert._plaid_train(index);
  ELSIF step < steps THEN
    EXECUTE format('INSERT INTO %s (doc_id, tokens, centroid_ids, digest) '
                   'SELECT a.doc_id::%s, a.tokens, a.centroid_ids, a.digest '
                   '  FROM colbert._plaid_filed($1, $2, $3) AS a',
                   colbert._derived_table(index, 'documents'), (colbert._source_types(index)).key_type)
      USING index, step - 1, steps - 2;
  ELSE
    PERFORM colbert._plaid_post(index),
            colbert._plaid_clear_trees(index);
    EXECUTE format('ANALYZE %s, %s', colbert._derived_table(index, 'postings'), colbert._derived_table(index, 'documents'));
  END IF;
END
$_plaid_build_step$;

COMMENT ON FUNCTION colbert._plaid_build_step(colbert._index, integer, integer) IS
  'Trains centroids, files a batch of the source''s documents, or writes the postings.';

-- Each batch reads the tree of centroids anew, which takes as long as filing one token for three or four centroids.
CREATE OR REPLACE FUNCTION colbert._plaid_batches(index colbert._index)
RETURNS integer
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT least(100, 1 + e.tokens / (10 * greatest(1, colbert._plaid_trained_centroids(index, e.tokens))))
    FROM (SELECT colbert._plaid_estimated_tokens(index)) AS e (tokens);
END;

COMMENT ON FUNCTION colbert._plaid_batches(colbert._index) IS
  'The number of batches in which documents are filed.';

CREATE OR REPLACE FUNCTION colbert._plaid_build_steps(index colbert._index)
RETURNS integer
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
RETURN 2 + coalesce(colbert._plaid_large_tenants(index),
                    CASE WHEN (colbert._plaid_former(index)).tables <> index.tables THEN 0 ELSE colbert._plaid_batches(index) END);

COMMENT ON FUNCTION colbert._plaid_build_steps(colbert._index) IS
  'In how many steps a plaid index is built.';

-- One statement copies both: they are of one snapshot, whatever is done to the former tables meanwhile. Documents that
-- change later are in the table of changes.
CREATE OR REPLACE FUNCTION colbert._plaid_keep(index colbert._index, former colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_keep$
DECLARE
  _centroids regclass := colbert._derived_table(index, 'centroids');
  _count record;
BEGIN
  EXECUTE format(
    'WITH centroid AS ('
    '  INSERT INTO %s (id, centroid, trained) OVERRIDING SYSTEM VALUE SELECT c.id, c.centroid, c.trained FROM %s AS c) '
    'INSERT INTO %s (doc_id, tokens, centroid_ids, digest) '
    'SELECT d.doc_id, d.tokens, d.centroid_ids, d.digest FROM %s AS d ORDER BY d.ordinal',
    _centroids, colbert._derived_table(former, 'centroids'),
    colbert._derived_table(index, 'documents'), colbert._derived_table(former, 'documents'));
  EXECUTE format('SELECT setval(%L, max(c.id)) FROM %s AS c HAVING count(*) > 0',
                 pg_get_serial_sequence(_centroids::text, 'id'), _centroids);
  _count := colbert._plaid_centroid_count(index);
  PERFORM colbert._plaid_index_centroids(_centroids, _count.trained + _count.grown);
END
$_plaid_keep$;

COMMENT ON FUNCTION colbert._plaid_keep(colbert._index, colbert._index) IS
  'Takes centroids and documents over from the tables that an index had before.';

-- One batch of the source's documents as they are filed, by as many processes as a statement may have: each files a part
-- of the batch by itself. (What the planner expects of each is too little, and would have it file all in one process.)
-- They sort three times, and share the memory that other builds get. Bad documents are left out.
CREATE OR REPLACE FUNCTION colbert._plaid_filed(index colbert._index, batch integer, batches integer)
RETURNS TABLE (doc_id text, tokens integer, centroid_ids integer[], digest bytea)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET parallel_setup_cost = 0
SET parallel_tuple_cost = 0
SET work_mem = '4MB'
AS $_plaid_filed$
DECLARE
  _processes integer := 1 + current_setting('max_parallel_workers_per_gather')::integer;
  _memory bigint := pg_size_bytes(current_setting('maintenance_work_mem')) / 1024;
  _statement text := format(
    'WITH document AS MATERIALIZED ('
    '  SELECT row_number() OVER () AS id, s.%1$I::text AS doc_id, s.%2$I AS embeddings '
    '    FROM %3$s AS s '
    '   WHERE %4$s '
    '     AND pg_column_size(s.%2$I) > 24 '
    '     AND (colbert._document_problem(s.%2$I, $4, $5)).problem IS NULL'
    '), filed AS ('
    '  SELECT n.id, array_agg(DISTINCT n.centroid_id) AS centroid_ids FROM (%5$s) AS n GROUP BY n.id) '
    'SELECT d.doc_id, cardinality(d.embeddings), f.centroid_ids, colbert._plaid_digest(d.embeddings) '
    '  FROM document AS d JOIN filed AS f ON f.id = d.id',
    index.key, index.embeddings, colbert._source_sql(index), colbert._in_batch_sql(index),
    colbert._plaid_descend_sql(
      index, format('SELECT d.id, colbert._direction(u.token)::%I.halfvec AS token '
                    '  FROM document AS d CROSS JOIN LATERAL unnest(d.embeddings) AS u (token)', colbert._vector_schema())));
BEGIN
  PERFORM set_config('work_mem', greatest(4096, _memory / (3 * _processes)) || 'kB', true);
  RETURN QUERY EXECUTE (
    SELECT string_agg(format('SELECT * FROM colbert._plaid_filed_alone($1, $2, %s, %s, $3, $4)',
                             (batch - 1) * _processes + i, batches * _processes), ' UNION ALL ')
      FROM generate_series(1, _processes) AS i)
    USING _statement, index, index.dimensions, colbert._normalized(index);
EXCEPTION WHEN OTHERS OR query_canceled THEN
  PERFORM colbert._plaid_failed(SQLSTATE, SQLERRM);
END
$_plaid_filed$;

COMMENT ON FUNCTION colbert._plaid_filed(colbert._index, integer, integer) IS
  'The documents of one of several batches of the source, with the centroids under which they are filed.';

-- In a process of its own, and under the settings of _plaid_run.
CREATE OR REPLACE FUNCTION colbert._plaid_filed_alone(
  statement text, index colbert._index, batch integer, batches integer, dimensions integer, normalized boolean)
RETURNS TABLE (doc_id text, tokens integer, centroid_ids integer[], digest bytea)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
COST 1000000
SET search_path = pg_catalog, pg_temp
SET max_parallel_workers_per_gather = 0
SET enable_nestloop = off
SET enable_hashjoin = off
SET jit = off
AS $_plaid_filed_alone$
BEGIN
  RETURN QUERY EXECUTE statement USING index, batch, batches, dimensions, normalized;
END
$_plaid_filed_alone$;

COMMENT ON FUNCTION colbert._plaid_filed_alone(text, colbert._index, integer, integer, integer, boolean) IS
  'The documents of a batch, as a statement of _plaid_filed files them.';
