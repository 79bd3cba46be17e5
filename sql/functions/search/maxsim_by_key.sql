-- maxsim and maxsim_matches of a stored document, by its key. The table may be left out while exactly one is
-- indexed. NULL, or no rows, for a document that is not there, that the caller may not see, or that has no
-- array. A key of type text has to be typed: 'a'::text.
CREATE OR REPLACE FUNCTION colbert.maxsim(
  query vector[], doc_id anynonarray, source regclass DEFAULT NULL, embeddings name DEFAULT NULL)
RETURNS float8
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
COST 10000
SET search_path = pg_catalog, pg_temp
AS $maxsim$
DECLARE
  _score float8;
BEGIN
  EXECUTE colbert._by_key_statement(
            colbert._find_index(source, embeddings), query,
            'SELECT colbert._maxsim($1::%s[], d.embeddings) FROM %s AS d')
     INTO _score
    USING query, NULL::jsonb, ARRAY[doc_id::text];
  RETURN _score;
END
$maxsim$;

COMMENT ON FUNCTION colbert.maxsim(vector[], anynonarray, regclass, name) IS
  'The MaxSim of a stored document, by its key; the table may be left out while exactly one is indexed.';

CREATE OR REPLACE FUNCTION colbert.maxsim_matches(
  query vector[], doc_id anynonarray, source regclass DEFAULT NULL, embeddings name DEFAULT NULL)
RETURNS TABLE (query_position integer, document_position integer, similarity float8)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
COST 10000 ROWS 32
SET search_path = pg_catalog, pg_temp
AS $maxsim_matches$
BEGIN
  RETURN QUERY
    EXECUTE colbert._by_key_statement(
              colbert._find_index(source, embeddings), query,
              'SELECT m.* FROM %2$s AS d CROSS JOIN LATERAL '
              'colbert._maxsim_matches($1::%1$s[], d.embeddings) AS m')
      USING query, NULL::jsonb, ARRAY[doc_id::text];
END
$maxsim_matches$;

COMMENT ON FUNCTION colbert.maxsim_matches(vector[], anynonarray, regclass, name) IS
  'The matches of a stored document, by its key; the table may be left out while exactly one is indexed.';

-- Completes a statement about one document. The template takes the element type and the SQL for the relation
-- (doc_id, embeddings); the statement takes the query as $1 and an array with the key, as text, as $3.
CREATE OR REPLACE FUNCTION colbert._by_key_statement(
  index colbert._index, query vector[], template text)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_by_key_statement$
DECLARE
  _types record := colbert._source_types(index);
BEGIN
  PERFORM colbert._refuse_query(index, query);
  RETURN format(template, _types.element,
                colbert._documents_of_keys(colbert._documents(index), _types.key_cast));
END
$_by_key_statement$;

COMMENT ON FUNCTION colbert._by_key_statement(colbert._index, vector[], text) IS
  'Completes the SQL of maxsim and maxsim_matches by key.';
