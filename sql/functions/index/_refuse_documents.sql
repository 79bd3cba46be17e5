-- Raises for the first document, in the order of the keys, that may not be indexed.
CREATE OR REPLACE FUNCTION colbert._refuse_documents(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_documents$
BEGIN
  EXECUTE format('SELECT colbert._refuse_document($1, s.%1$I::text, s.%2$I) '
                 '  FROM %3$s AS s ORDER BY s.%1$I',
                 index.key, index.embeddings, index.source)
    USING index;
END
$_refuse_documents$;

COMMENT ON FUNCTION colbert._refuse_documents(colbert._index) IS
  'Raises for the first document of the source that may not be indexed.';
