-- Asks the workers to encode a query. They see it when the transaction commits, and are told then. Returns whether there
-- is nothing to wait for, since the vectors are there. For transactions, where CALL colbert.encode_query may not commit.
--
-- A question that nobody has answered after the timeout is given up. It is cleared away by the next one of the same role,
-- and by workers.
CREATE OR REPLACE FUNCTION colbert.request_query(
  query_text text,
  source regclass DEFAULT NULL,
  timeout interval DEFAULT '10 minutes',
  embeddings name DEFAULT NULL)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $request_query$
DECLARE
  _index colbert._index := colbert._asked_index(source, query_text, embeddings);
  _model jsonb := _index.options -> 'model';
BEGIN
  IF timeout IS NULL OR timeout <= interval '0' THEN
    RAISE EXCEPTION 'timeout must be longer than nothing, not %', coalesce(timeout::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Give the worker time for an answer: timeout => ''10 seconds''.';
  ELSIF (colbert._kept_query(_index, query_text)).vectors IS NOT NULL THEN
    RETURN true;
  ELSIF current_setting('transaction_read_only')::boolean THEN
    RAISE EXCEPTION 'the query is not encoded yet, and nothing can be asked in a transaction that only reads'
      USING ERRCODE = 'read_only_sql_transaction',
            HINT = 'CALL colbert.encode_query on the primary server. Standbys have the vectors, too, a moment later.';
  END IF;
  DELETE FROM colbert._query AS q
   WHERE q.index_id = _index.id AND q.role = current_user
     AND q.vectors IS NULL AND q.expires_at < clock_timestamp()
     AND q.digest <> colbert._query_digest(_model, request_query.query_text);
  INSERT INTO colbert._query AS q (index_id, digest, model, query_text, expires_at)
  VALUES (_index.id, colbert._query_digest(_model, query_text), _model, query_text, clock_timestamp() + timeout)
  ON CONFLICT (index_id, role, digest) DO UPDATE
     SET expires_at = greatest(q.expires_at, excluded.expires_at),
         asked_at = clock_timestamp(),
         claimed_until = CASE WHEN q.encoded_at IS NULL THEN q.claimed_until END,
         encoded_at = NULL,
         error = NULL
   WHERE q.vectors IS NULL;
  PERFORM pg_notify('colbert_query', _index.id::text);
  RETURN false;
END
$request_query$;

COMMENT ON FUNCTION colbert.request_query(text, regclass, interval, name) IS
  'Asks the workers to encode a query, once the transaction commits; true when its vectors are there already. For transactions, in which encode_query may not commit: search in the next one.';
