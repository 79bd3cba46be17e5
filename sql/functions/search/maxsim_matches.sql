-- maxsim_matches of a stored document, by its key. The table may be left out while exactly one is indexed. No rows for
-- a document that is not there, that the caller may not see, or that has no array. A key of type text has to be typed:
-- 'a'::text.
CREATE OR REPLACE FUNCTION colbert.maxsim_matches(
  query vector[], doc_id anynonarray, source regclass DEFAULT NULL, embeddings name DEFAULT NULL)
RETURNS TABLE (query_position integer, document_position integer, similarity float8)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
COST 10000 ROWS 32
SET search_path = pg_catalog, pg_temp
AS $maxsim_matches$
DECLARE
  _index colbert._index := colbert._find_any_index(source, embeddings);
BEGIN
  IF _index.method = 'shards' THEN
    RETURN QUERY
      SELECT (m.match ->> 0)::integer, (m.match ->> 1)::integer, (m.match ->> 2)::float8
        FROM jsonb_array_elements(colbert._by_key_of_shards(_index, query, doc_id::text, 'maxsim_matches'))
             WITH ORDINALITY AS m (match, position)
       ORDER BY m.position;
    RETURN;
  END IF;
  RETURN QUERY
    EXECUTE colbert._by_key_sql(
              _index, query, doc_id::text,
              'SELECT m.query_position, m.document_position, '
              '       m.similarity * coalesce((colbert._query_weights($1))[m.query_position], 1) '
              '  FROM %2$s AS d CROSS JOIN LATERAL colbert._maxsim_matches(%1$s, d.embeddings) AS m')
      USING query, NULL::jsonb, ARRAY[doc_id::text];
END
$maxsim_matches$;

COMMENT ON FUNCTION colbert.maxsim_matches(vector[], anynonarray, regclass, name) IS
  'The matches of a stored document, by its key; the table may be left out while exactly one is indexed.';
