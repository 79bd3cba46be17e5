-- Stores the vectors of a query for the role that asked. Returns whether they were stored: not when nobody waits for them
-- any more, or another worker was faster.
CREATE OR REPLACE FUNCTION colbert.store_query(id uuid, vectors vector[])
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
COST 1000
SET search_path = pg_catalog, pg_temp
AS $store_query$
DECLARE
  _index colbert._index;
BEGIN
  SELECT i.*
    INTO _index
    FROM colbert._query AS q
    JOIN colbert._index AS i ON i.id = q.index_id
   WHERE q.id = store_query.id;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM colbert._refuse_query(_index, vectors);
  UPDATE colbert._query AS q
     SET vectors = store_query.vectors, error = NULL, encoded_at = clock_timestamp()
   WHERE q.id = store_query.id AND q.encoded_at IS NULL;
  RETURN FOUND;
END
$store_query$;

COMMENT ON FUNCTION colbert.store_query(uuid, vector[]) IS
  'Stores the vectors of a query that claim_queries gave; false when nobody waits for them any more.';

-- Answers a query with an error. Whoever waits for it gets the error. Asked again, it is tried again.
CREATE OR REPLACE FUNCTION colbert.report_query_failure(id uuid, error text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $report_query_failure$
BEGIN
  UPDATE colbert._query AS q
     SET error = left(coalesce(report_query_failure.error, 'no error was given'), 2000), encoded_at = clock_timestamp()
   WHERE q.id = report_query_failure.id AND q.encoded_at IS NULL;
  RETURN FOUND;
END
$report_query_failure$;

COMMENT ON FUNCTION colbert.report_query_failure(uuid, text) IS
  'Answers a query that claim_queries gave with the error of its encoding.';
