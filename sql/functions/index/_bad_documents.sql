-- Arrays that may not be indexed: written while the triggers were off.
CREATE OR REPLACE FUNCTION colbert._bad_documents(index colbert._index, sample float8, seed text)
RETURNS TABLE (problem text, doc_id text, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_bad_documents$
BEGIN
  RETURN QUERY EXECUTE format(
    'SELECT %L, s.%2$I::text, p.problem FROM %3$s AS s '
    ' CROSS JOIN LATERAL colbert._document_problem(s.%4$I, $1, $2) AS p '
    ' WHERE %5$s AND p.problem IS NOT NULL ORDER BY s.%2$I',
    'bad document', index.key, colbert._source_sql(index), index.embeddings,
    colbert._in_sample_sql(format('s.%I', index.key), sample, seed))
    USING index.dimensions, colbert._normalized(index);
END
$_bad_documents$;

COMMENT ON FUNCTION colbert._bad_documents(colbert._index, float8, text) IS
  'The documents of the source, or of a part of it, that may not be indexed.';
