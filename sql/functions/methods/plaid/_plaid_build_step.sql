-- The first step trains the centroids on what is in the source. Each step after that files a batch of documents, in
-- parallel workers where the server has them. The last one writes the postings of all. An index that is kept apart is built
-- part by part (_plaid_build_part_step).
CREATE OR REPLACE FUNCTION colbert._plaid_build_step(index colbert._index, step integer, steps integer)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_build_step$
DECLARE
  _documents regclass := colbert._derived_table(index, 'documents');
  _postings regclass := colbert._derived_table(index, 'postings');
BEGIN
  IF colbert._tenant_column(index) IS NOT NULL THEN
    PERFORM colbert._plaid_build_part_step(index, step, steps);
  ELSIF step = 1 THEN
    PERFORM colbert._plaid_train(index);
  ELSIF step < steps THEN
    EXECUTE format('INSERT INTO %s (doc_id, tokens, centroid_ids, digest) '
                   'SELECT a.doc_id::%s, a.tokens, a.centroid_ids, a.digest '
                   '  FROM colbert._plaid_filed($1, $2, $3) AS a',
                   _documents, (colbert._source_types(index)).key_type)
      USING index, step - 1, steps - 2;
  ELSE
    EXECUTE format('INSERT INTO %s (centroid_id, ordinal) '
                   'SELECT unnest(d.centroid_ids) AS centroid_id, d.ordinal FROM %s AS d ORDER BY 1, 2',
                   _postings, _documents);
    EXECUTE format('ANALYZE %s, %s', _postings, _documents);
  END IF;
END
$_plaid_build_step$;

COMMENT ON FUNCTION colbert._plaid_build_step(colbert._index, integer, integer) IS
  'Trains centroids, files a batch of the source''s documents, or writes the postings.';

CREATE OR REPLACE FUNCTION colbert._plaid_build_steps(index colbert._index)
RETURNS integer
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
RETURN 2 + coalesce(colbert._plaid_large_tenants(index), colbert._batches(index));

COMMENT ON FUNCTION colbert._plaid_build_steps(colbert._index) IS
  'In how many steps a plaid index is built.';

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
