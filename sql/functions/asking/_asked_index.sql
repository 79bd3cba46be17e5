-- The index that a query in text is for. Its model has to be known: vectors of another one would find nothing.
CREATE OR REPLACE FUNCTION colbert._asked_index(source regclass, query_text text, embeddings name)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_asked_index$
DECLARE
  _index colbert._index := colbert._find_encoded_index(source, embeddings);
BEGIN
  IF query_text IS NULL OR query_text !~ '\S' THEN
    RAISE EXCEPTION 'the query is empty'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Pass a text with a word in it.';
  ELSIF length(query_text) > 20000 THEN
    RAISE EXCEPTION 'the query has % characters, and 20,000 are the most', length(query_text)
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Ask a shorter question: a model reads no more than some hundred words.';
  ELSIF jsonb_typeof(_index.options -> 'model') IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION 'the index on table "%" does not know its model yet', _index.source
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Run colbert-pg worker as the owner of the table: its model becomes that of the index.';
  END IF;
  RETURN _index;
END
$_asked_index$;

COMMENT ON FUNCTION colbert._asked_index(regclass, text, name) IS
  'The registry row of an index for a query in text, or an error.';

-- Names a query of a model. A text itself may be too long for an index.
CREATE OR REPLACE FUNCTION colbert._query_digest(model jsonb, query_text text)
RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN sha256(convert_to(jsonb_build_array(model, query_text)::text, 'UTF8'));

COMMENT ON FUNCTION colbert._query_digest(jsonb, text) IS 'Names a query of a model.';
