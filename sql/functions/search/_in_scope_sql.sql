-- The WHERE clause by which an index names only documents of the scope. doc_id is SQL for their key. NULL, which format()
-- leaves out, where the scope is the whole source. OFFSET 0 keeps the planner from reading the whole source to answer
-- for a few documents.
CREATE OR REPLACE FUNCTION colbert._in_scope_sql(scope colbert._scope, doc_id text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE WHEN scope.restricted
            THEN format('WHERE EXISTS (SELECT FROM %s AS s WHERE s.doc_id OPERATOR(pg_catalog.=) %s OFFSET 0)',
                        scope.documents, doc_id) END;

COMMENT ON FUNCTION colbert._in_scope_sql(colbert._scope, text) IS
  'SQL of a WHERE clause for the documents of a scope; NULL where the scope is not restricted.';
