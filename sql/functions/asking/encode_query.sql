-- Has a worker encode a query: asks, commits so that workers see the question, and looks for the answer until the
-- timeout. Afterwards search_text and encoded_query find the vectors, which are returned as well. A question that the same
-- role has asked before needs no worker.
--
-- It cannot run inside a transaction block ("invalid transaction termination"): request_query is for those.
--
-- Errors: no worker has taken the question in time, or none has answered it; what the worker says of it. A question is
-- not left behind. When its client is gone, workers pass it over after the timeout, and clear it away.
CREATE OR REPLACE PROCEDURE colbert.encode_query(
  query_text text,
  source regclass DEFAULT NULL,
  timeout interval DEFAULT '10 seconds',
  embeddings name DEFAULT NULL,
  INOUT vectors vector[] DEFAULT NULL)
LANGUAGE plpgsql SECURITY INVOKER
AS $encode_query$
DECLARE
  _asked pg_catalog.timestamptz;
  _pause pg_catalog.float8;
  _gone pg_catalog.text;
BEGIN
  COMMIT;
  IF NOT colbert.request_query(query_text, source, timeout, embeddings) THEN
    COMMIT;
    _asked := pg_catalog.clock_timestamp();
    LOOP
      _pause := colbert._query_pause(query_text, source, _asked, timeout, embeddings);
      EXIT WHEN _pause IS NULL;
      COMMIT;
      PERFORM pg_catalog.pg_sleep(_pause);
    END LOOP;
    _gone := colbert._give_up_query(query_text, source, embeddings);
    COMMIT;
    PERFORM colbert._refuse_unanswered(_gone, timeout);
  END IF;
  vectors := colbert.encoded_query(query_text, source, embeddings);
  COMMIT;
END
$encode_query$;

COMMENT ON PROCEDURE colbert.encode_query(text, regclass, interval, name, vector[]) IS
  'Has a worker encode a query, and waits for it: search_text finds the vectors afterwards. timeout, how long to wait at the most; not inside a transaction block.';

-- How many seconds to wait before the next look at a query that was asked. NULL when it is answered, or the time is over.
-- An answer is found after a tenth of the time that it took at the latest, or 3 ms.
CREATE OR REPLACE FUNCTION colbert._query_pause(
  query_text text, source regclass, asked_at timestamptz, timeout interval, embeddings name)
RETURNS float8
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_query_pause$
DECLARE
  _query colbert._query := colbert._kept_query(colbert._asked_index(source, query_text, embeddings), query_text);
  _waited float8 := extract(epoch FROM clock_timestamp() - asked_at);
  _left float8 := extract(epoch FROM timeout) - _waited;
BEGIN
  RETURN CASE WHEN _query.id IS NOT NULL AND _query.encoded_at IS NULL AND _left > 0
              THEN least(_left, greatest(0.003, least(0.1, _waited / 10))) END;
END
$_query_pause$;

COMMENT ON FUNCTION colbert._query_pause(text, regclass, timestamptz, interval, name) IS
  'How many seconds to wait before the next look at a query; NULL when there is nothing to wait for.';

-- Takes back a query that is not answered. Returns what has become of it: "waiting" when no worker had taken it, "claimed"
-- when one had, NULL when it is answered.
CREATE OR REPLACE FUNCTION colbert._give_up_query(query_text text, source regclass, embeddings name)
RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_give_up_query$
DECLARE
  _query colbert._query := colbert._kept_query(colbert._asked_index(source, query_text, embeddings), query_text);
  _gone text;
BEGIN
  IF _query.encoded_at IS NOT NULL THEN
    RETURN NULL;
  END IF;
  DELETE FROM colbert._query AS q
   WHERE q.id = _query.id AND q.encoded_at IS NULL
  RETURNING CASE WHEN q.claimed_until IS NULL THEN 'waiting' ELSE 'claimed' END INTO _gone;
  RETURN CASE WHEN _query.id IS NULL THEN 'waiting' ELSE _gone END;
END
$_give_up_query$;

COMMENT ON FUNCTION colbert._give_up_query(text, regclass, name) IS
  'Takes back a query that is not answered; returns what has become of it.';

-- Raises for a query that was not answered in time.
CREATE OR REPLACE FUNCTION colbert._refuse_unanswered(state text, timeout interval)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_unanswered$
BEGIN
  IF state = 'waiting' THEN
    RAISE EXCEPTION 'no worker has taken the query within %', timeout
      USING ERRCODE = 'query_canceled',
            HINT = 'Run colbert-pg worker as the owner of the table, or as a role that the owner has named with '
                   'colbert.allow_query_worker.';
  ELSIF state = 'claimed' THEN
    RAISE EXCEPTION 'a worker has taken the query and not answered within %', timeout
      USING ERRCODE = 'query_canceled',
            HINT = 'Wait longer, timeout => ''1 minute'', or look whether the worker is alive.';
  END IF;
END
$_refuse_unanswered$;

COMMENT ON FUNCTION colbert._refuse_unanswered(text, interval) IS
  'Raises for a query that was not answered in time.';
