-- SQL for the documents of a relation (doc_id, embeddings) whose keys are in $3, an array of text.
CREATE OR REPLACE FUNCTION colbert._documents_of_keys_sql(documents text, key_cast text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN format('(SELECT d.doc_id, d.embeddings FROM %s AS d WHERE d.doc_id OPERATOR(pg_catalog.=) ANY ($3::%s[]))',
              documents, key_cast);

COMMENT ON FUNCTION colbert._documents_of_keys_sql(text, text) IS
  'SQL for the documents of a relation whose keys are in $3, an array of text.';
