-- Has each shard do an operation of call_shard, all at once, and returns their answers. A shard commits what it does at
-- once, whatever becomes of this transaction. Partitions here are part of it. One that cannot be reached is an error, or
-- is left out with a warning, as the session says (_on_failure). The rights are those of the mapped role there.
CREATE OR REPLACE FUNCTION colbert._call_shards(
  index colbert._index, shards colbert._shard[], operation text, request jsonb DEFAULT '{}')
RETURNS TABLE (shard colbert._shard, answer jsonb)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
AS $_call_shards$
DECLARE
  _request jsonb := jsonb_build_object('version', colbert._request_version(), 'embeddings', index.embeddings) || request;
  _answers jsonb[] := colbert._ask_shards(
    shards,
    ARRAY(SELECT format('SELECT colbert.call_shard(%L, %L, %L)', s.remote, operation, _request)
            FROM unnest(shards) WITH ORDINALITY AS s (partition, server, remote, connection, position)
           ORDER BY s.position),
    colbert._on_failure());
BEGIN
  RETURN QUERY
    SELECT shards[a.number], a.answer
      FROM unnest(_answers) WITH ORDINALITY AS a (answer, number)
     WHERE a.answer IS NOT NULL
     ORDER BY a.number;
END
$_call_shards$;

COMMENT ON FUNCTION colbert._call_shards(colbert._index, colbert._shard[], text, jsonb) IS
  'What each shard answers to an operation of call_shard.';
