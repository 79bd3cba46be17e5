-- A good document passes.
CREATE OR REPLACE FUNCTION colbert._refuse_document(
  index colbert._index, doc_id text, embeddings anyarray)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_document$
DECLARE
  _found record;
BEGIN
  _found := colbert._document_problem(embeddings, index.dimensions, colbert._normalized(index));
  IF _found.problem IS NOT NULL THEN
    RAISE EXCEPTION 'document "%": %', doc_id, _found.problem
      USING ERRCODE = _found.code,
            DETAIL = format('Column "%s" of table "%s".', index.embeddings, index.source),
            HINT = _found.hint;
  END IF;
END
$_refuse_document$;

COMMENT ON FUNCTION colbert._refuse_document(colbert._index, text, anyarray) IS
  'Raises for a document that may not be indexed, with its key, the token''s position and a hint.';
