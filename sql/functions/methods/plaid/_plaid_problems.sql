-- How a plaid index differs from its source: documents that are not filed, filed documents that are gone, arrays that
-- have changed since (by their digests), documents whose postings or centroids are not those that they were filed with,
-- and postings of no document.
CREATE OR REPLACE FUNCTION colbert._plaid_problems(index colbert._index, sample float8, seed text)
RETURNS TABLE (problem text, doc_id text, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_problems$
BEGIN
  RETURN QUERY EXECUTE format(
    $problems$
    WITH document AS MATERIALIZED (
      SELECT s.%1$I AS doc_id, colbert._plaid_digest(s.%2$I) AS digest
        FROM %3$s AS s
       CROSS JOIN LATERAL colbert._document_problem(s.%2$I, $1, $2) AS p
       WHERE %7$s
         AND cardinality(s.%2$I) > 0
         AND p.problem IS NULL
    ), posted AS MATERIALIZED (
      SELECT p.ordinal, array_agg(p.centroid_id ORDER BY p.centroid_id) AS centroid_ids,
             count(c.id) = count(*) AS known
        FROM %5$s AS p
        LEFT JOIN %4$s AS c ON c.id = p.centroid_id
       WHERE true%11$s%10$s
       GROUP BY p.ordinal
    ), filed AS MATERIALIZED (
      SELECT d.doc_id, d.digest, p.known AND p.centroid_ids = d.centroid_ids AS complete
        FROM %6$s AS d
        LEFT JOIN posted AS p ON p.ordinal = d.ordinal
       WHERE %8$s%12$s
    )
    SELECT CASE WHEN f.doc_id IS NULL THEN 'missing document'
                WHEN d.doc_id IS NULL THEN 'orphaned document'
                ELSE 'stale document'
           END,
           coalesce(d.doc_id, f.doc_id)::text,
           CASE WHEN f.doc_id IS NULL THEN 'in the table, not in the index'
                WHEN d.doc_id IS NULL THEN 'in the index, not in the table'
                WHEN d.digest <> f.digest THEN 'the array has changed since it was filed'
                ELSE 'postings or centroids are gone or changed'
           END
      FROM document AS d
      FULL JOIN filed AS f ON f.doc_id = d.doc_id
     WHERE d.doc_id IS NULL
        OR f.doc_id IS NULL
        OR d.digest <> f.digest
        OR f.complete IS NOT TRUE
    UNION ALL
    SELECT 'orphaned postings', NULL, format('%%s postings of no document', count(*))
      FROM %5$s AS p
     WHERE %9$L::boolean%11$s
       AND NOT EXISTS (SELECT FROM %6$s AS d WHERE d.ordinal = p.ordinal)
    HAVING count(*) > 0
    $problems$,
    index.key, index.embeddings, colbert._source_sql(index), colbert._derived_table(index, 'centroids'),
    colbert._derived_table(index, 'postings'), colbert._derived_table(index, 'documents'),
    colbert._in_sample_sql(format('s.%I', index.key), sample, seed), colbert._in_sample_sql('d.doc_id', sample, seed),
    sample >= 1,
    CASE WHEN sample < 1 THEN format(' AND p.ordinal IN (SELECT d.ordinal FROM %s AS d WHERE %s)',
                                     colbert._derived_table(index, 'documents'),
                                     colbert._in_sample_sql('d.doc_id', sample, seed)) END,
    ' AND p.part = ' || index.part, ' AND d.part = ' || index.part)
    USING index.dimensions, colbert._normalized(index);
END
$_plaid_problems$;

COMMENT ON FUNCTION colbert._plaid_problems(colbert._index, float8, text) IS
  'The documents that are not filed as their arrays are, and postings of no document.';
