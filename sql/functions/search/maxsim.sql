-- maxsim of a stored document, by its key. The table may be left out while exactly one is indexed. NULL for a document
-- that is not there, that the caller may not see, or that has no array. A key of type text has to be typed: 'a'::text.
CREATE OR REPLACE FUNCTION colbert.maxsim(
  query vector[], doc_id anynonarray, source regclass DEFAULT NULL, embeddings name DEFAULT NULL)
RETURNS float8
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
COST 10000
SET search_path = pg_catalog, pg_temp
AS $maxsim$
DECLARE
  _index colbert._index := colbert._find_any_index(source, embeddings);
  _score float8;
BEGIN
  IF _index.method = 'shards' THEN
    RETURN colbert._by_key_of_shards(_index, query, doc_id::text, 'maxsim')::float8;
  END IF;
  EXECUTE colbert._by_key_sql(
            _index, query, doc_id::text,
            'SELECT colbert._weighted_maxsim(%s, d.embeddings, colbert._query_weights($1)) FROM %s AS d')
     INTO _score
    USING query, NULL::jsonb, ARRAY[doc_id::text];
  RETURN _score;
END
$maxsim$;

COMMENT ON FUNCTION colbert.maxsim(vector[], anynonarray, regclass, name) IS
  'The MaxSim of a stored document, by its key; the table may be left out while exactly one is indexed.';
