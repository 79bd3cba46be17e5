-- Refuses a query that cannot be compared with the documents of an index. Its vectors may have any length but 0: a
-- longer one weighs more (_query_weights).
CREATE OR REPLACE FUNCTION colbert._refuse_query(index colbert._index, query vector[])
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_query$
DECLARE
  _found record;
BEGIN
  PERFORM colbert._refuse_malformed(query, 'query');
  _found := colbert._document_problem(query, index.dimensions, false);
  IF _found.problem IS NOT NULL THEN
    RAISE EXCEPTION 'query: %', _found.problem
      USING ERRCODE = _found.code,
            DETAIL = format('The index is on column "%s" of table "%s".', index.embeddings, index.source),
            HINT = CASE WHEN _found.kind = 'dimensions' THEN 'Encode the query with the model of the documents.'
                        ELSE _found.hint END;
  END IF;
END
$_refuse_query$;

COMMENT ON FUNCTION colbert._refuse_query(colbert._index, vector[]) IS
  'Raises for a query with a bad token, with its position and a hint.';
