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
    PERFORM colbert._plaid_post(index);
    EXECUTE format('ANALYZE %s, %s', colbert._derived_table(index, 'postings'), colbert._derived_table(index, 'documents'));
  END IF;
END
$_plaid_build_step$;

COMMENT ON FUNCTION colbert._plaid_build_step(colbert._index, integer, integer) IS
  'Trains centroids, files a batch of the source''s documents, or writes the postings.';

CREATE OR REPLACE FUNCTION colbert._plaid_build_steps(index colbert._index)
RETURNS integer
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
RETURN 2 + coalesce(colbert._plaid_large_tenants(index),
                    CASE WHEN (colbert._plaid_former(index)).tables <> index.tables THEN 0 ELSE colbert._batches(index) END);

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

-- One batch of the source's documents as they are filed. Bad documents are left out.
CREATE OR REPLACE FUNCTION colbert._plaid_filed(index colbert._index, batch integer, batches integer)
RETURNS TABLE (doc_id text, tokens integer, centroid_ids integer[], digest bytea)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET min_parallel_table_scan_size = 0
SET parallel_setup_cost = 0
AS $_plaid_filed$
BEGIN
  RETURN QUERY EXECUTE format(
    'SELECT s.%1$I::text, cardinality(s.%2$I), colbert._plaid_centroid_ids($1, s.%2$I), '
    '       colbert._plaid_digest(s.%2$I) '
    '  FROM %3$s AS s '
    ' WHERE %4$s '
    '   AND pg_column_size(s.%2$I) > 24 '
    '   AND (colbert._document_problem(s.%2$I, $4, $5)).problem IS NULL',
    index.key, index.embeddings, colbert._source_sql(index), colbert._in_batch_sql(index))
    USING index, batch, batches, index.dimensions, colbert._normalized(index);
END
$_plaid_filed$;

COMMENT ON FUNCTION colbert._plaid_filed(colbert._index, integer, integer) IS
  'The documents of one of several batches of the source, with the centroids under which they are filed.';
