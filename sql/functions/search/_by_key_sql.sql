-- Completes a statement about the document doc_id. The template takes the SQL for the query's vectors and that for the
-- relation (doc_id, embeddings). The statement takes the query as $1 and an array with the key, as text, as $3.
CREATE OR REPLACE FUNCTION colbert._by_key_sql(
  index colbert._index, query vector[], doc_id text, template text)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_by_key_sql$
DECLARE
  _types record := colbert._source_types(index);
BEGIN
  PERFORM colbert._refuse_query(index, query),
          colbert._refuse_ambiguous(index, ARRAY[doc_id]);
  RETURN format(template, colbert._query_sql(_types.element),
                colbert._documents_of_keys_sql(colbert._documents_sql(index), _types.key_cast));
END
$_by_key_sql$;

COMMENT ON FUNCTION colbert._by_key_sql(colbert._index, vector[], text, text) IS
  'Completes the SQL of maxsim and maxsim_matches by key.';
