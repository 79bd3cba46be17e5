CREATE OR REPLACE FUNCTION colbert._shard_states(index colbert._index)
RETURNS TABLE (shard text, server name, state text, advice text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_shard_states$
DECLARE
  _shards colbert._shard[] := ARRAY(SELECT s FROM colbert._shards_of(index.source) AS s);
  _answers jsonb[];
  _problem record;
BEGIN
  IF colbert._is_own(index.source) THEN
    _answers := colbert._ask_about_index(index, _shards, 'answer');
  END IF;
  FOR i IN 1 .. cardinality(_shards) LOOP
    shard := coalesce((_shards[i]).partition::text, (_shards[i]).remote);
    server := (_shards[i]).server;
    IF _answers IS NOT NULL THEN
      _problem := colbert._problem_of_shard(index, _shards[i], _answers[i]);
      state := CASE WHEN _problem.problem IS NULL THEN _answers[i] -> 'index' ->> 'state'
                    WHEN (_answers[i] ->> 'unreachable')::boolean THEN 'unreachable'
                    WHEN _answers[i] -> 'index' = 'null' THEN 'missing'
                    ELSE 'broken' END;
      advice := CASE WHEN _problem.problem IS NULL THEN _answers[i] -> 'index' ->> 'advice'
                     ELSE _problem.problem || ': ' || _problem.advice END;
    END IF;
    RETURN NEXT;
  END LOOP;
END
$_shard_states$;

COMMENT ON FUNCTION colbert._shard_states(colbert._index) IS
  'The shards of an index and their states; NULL for who does not own the table.';
