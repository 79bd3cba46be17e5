-- Trains the centroids on what is in the source, then files every document. It works in batches, so that another
-- session can watch (_report_progress), and each batch in parallel workers where the server has them.
CREATE OR REPLACE FUNCTION colbert._plaid_build(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET application_name = 'colbert_pg'
AS $_plaid_build$
DECLARE
  _postings regclass := colbert._derived_table(index, 'postings');
  _documents regclass := colbert._derived_table(index, 'documents');
  _batches integer;
BEGIN
  PERFORM colbert._plaid_train(index);
  EXECUTE format('SELECT least(100, 1 + count(*) / 250) FROM %s', index.source) INTO _batches;
  FOR _batch IN 1 .. _batches LOOP
    EXECUTE format('INSERT INTO %s (doc_id, tokens, centroid_ids, digest) '
                   'SELECT a.doc_id::%s, a.tokens, a.centroid_ids, a.digest '
                   '  FROM colbert._plaid_filed($1, $2, $3) AS a',
                   _documents, (colbert._source_types(index)).key_type)
      USING index, _batch, _batches;
    PERFORM colbert._report_progress(index, format('filing documents, %s %%', 100 * _batch / _batches));
  END LOOP;
  PERFORM colbert._report_progress(index, 'writing postings');
  EXECUTE format('INSERT INTO %s (centroid_id, ordinal) '
                 'SELECT unnest(d.centroid_ids) AS centroid_id, d.ordinal FROM %s AS d ORDER BY 1, 2',
                 _postings, _documents);
  EXECUTE format('ANALYZE %s, %s', _postings, _documents);
END
$_plaid_build$;

COMMENT ON FUNCTION colbert._plaid_build(colbert._index) IS
  'Trains centroids and files every document of the source.';

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
    ' WHERE (hashtext(s.%1$I::text) & 2147483647) %% $3 = $2 - 1 '
    '   AND pg_column_size(s.%2$I) > 24 '
    '   AND (colbert._document_problem(s.%2$I, $4, $5)).problem IS NULL',
    index.key, index.embeddings, index.source)
    USING index, batch, batches, index.dimensions, colbert._normalized(index);
END
$_plaid_filed$;

COMMENT ON FUNCTION colbert._plaid_filed(colbert._index, integer, integer) IS
  'The documents of one of several batches of the source, with the centroids under which they are filed.';
