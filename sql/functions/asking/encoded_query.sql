-- The vectors of a query that was encoded before, for the role that asked. It only reads, so that it answers on a standby
-- too. What was made by another model than the index has now is not used.
CREATE OR REPLACE FUNCTION colbert.encoded_query(
  query_text text,
  source regclass DEFAULT NULL,
  embeddings name DEFAULT NULL)
RETURNS vector[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
COST 1000
SET search_path = pg_catalog, pg_temp
AS $encoded_query$
DECLARE
  _query colbert._query := colbert._kept_query(colbert._asked_index(source, query_text, embeddings), query_text);
BEGIN
  IF _query.error IS NOT NULL THEN
    RAISE EXCEPTION 'the query cannot be encoded: %', _query.error
      USING ERRCODE = 'external_routine_exception',
            HINT = 'Ask in other words, or look at the log of the worker.';
  ELSIF _query.vectors IS NULL THEN
    RAISE EXCEPTION 'the query is not encoded yet'
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'CALL colbert.encode_query(query_text, source) first, outside of a transaction block. Inside of one: '
                   'SELECT colbert.request_query(query_text, source), commit, and search in the next.';
  END IF;
  RETURN _query.vectors;
END
$encoded_query$;

COMMENT ON FUNCTION colbert.encoded_query(text, regclass, name) IS
  'The vectors of a query that encode_query or request_query has asked for, for any function that takes vectors; an error when they are not there. It only reads.';

-- The caller's own row of a query, if there is one.
CREATE OR REPLACE FUNCTION colbert._kept_query(index colbert._index, query_text text)
RETURNS colbert._query
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_kept_query$
DECLARE
  _model jsonb := index.options -> 'model';
  _query colbert._query;
BEGIN
  SELECT q.*
    INTO _query
    FROM colbert._query AS q
   WHERE q.index_id = index.id AND q.role = current_user
     AND q.digest = colbert._query_digest(_model, _kept_query.query_text)
     AND q.model = _model AND q.query_text = _kept_query.query_text;
  RETURN _query;
END
$_kept_query$;

COMMENT ON FUNCTION colbert._kept_query(colbert._index, text) IS
  'The caller''s row of a query, if there is one.';
