-- SQL for the documents of an index as a relation (doc_id, embeddings): the rows of the source that meet the filter.
CREATE OR REPLACE FUNCTION colbert._documents_sql(index colbert._index, filter text DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_documents_sql$
BEGIN
  RETURN colbert._source_rows_sql(index, 'embeddings', quote_ident(index.embeddings), filter);
END
$_documents_sql$;

COMMENT ON FUNCTION colbert._documents_sql(colbert._index, text) IS
  'SQL for the documents of a source that meet a filter, as a relation (doc_id, embeddings).';
