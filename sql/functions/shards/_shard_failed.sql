-- What becomes of a failure of a shard: an error that names it; or, where on_failure is 'warning', a warning, if the
-- shard cannot be reached; or, where it is 'answer', an answer that says so. The error has the SQLSTATE that the shard
-- gave.
CREATE OR REPLACE FUNCTION colbert._shard_failed(
  shard colbert._shard, on_failure text, state text, message text, detail text, hint text)
RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_shard_failed$
DECLARE
  _unreachable boolean := colbert._is_unreachable(state);
  _place text := colbert._shard_name(shard);
BEGIN
  message := concat_ws(': ', message, CASE WHEN _unreachable THEN nullif(split_part(detail, E'\n', 1), '') END);
  IF on_failure = 'answer' THEN
    RETURN jsonb_build_object('failure', message, 'unreachable', _unreachable);
  ELSIF _unreachable AND on_failure = 'warning' THEN
    RAISE WARNING '% is left out: %', _place, message
      USING ERRCODE = state;
    RETURN NULL;
  END IF;
  RAISE EXCEPTION '%: %', _place, message
    USING ERRCODE = state,
          DETAIL = coalesce(nullif(detail, ''), format('There it is table %s.', shard.remote)),
          HINT = coalesce(
            CASE WHEN state IN ('42883', '3F000', '38000') AND strpos(message, 'colbert') > 0
                 THEN 'Install colbert_pg on the shard, in the same version.' END,
            CASE WHEN shard.partition IS NULL AND state = '42704'
                 THEN 'Was it moved or split? colbert.repair_index makes the indexes that shards lack.' END,
            nullif(hint, ''),
            CASE
              WHEN shard.partition IS NULL THEN
                CASE WHEN _unreachable THEN 'Look at the node. SET colbert.shards = ''reachable'' searches the others meanwhile.'
                     ELSE 'Look at the table and its index on the node.' END
              WHEN _unreachable THEN
                'Look at the server and at its user mapping. SET colbert.shards = ''reachable'' searches the others meanwhile.'
              WHEN state = '42704' THEN
                format('CREATE USER MAPPING FOR %I SERVER %I OPTIONS (user …, password …)', current_user, shard.server)
              WHEN state = '42501' THEN
                'The caller needs USAGE on the server. The role of its user mapping needs SELECT on the table of the shard, and USAGE on its schema.'
              ELSE 'Look at the table and its index on the shard.'
            END);
END
$_shard_failed$;

COMMENT ON FUNCTION colbert._shard_failed(colbert._shard, text, text, text, text, text) IS
  'Raises an error that names the shard that failed, or warns, or answers.';

-- Connections that were not made or were lost, servers that stop or start, and those with no connection to spare.
CREATE OR REPLACE FUNCTION colbert._is_unreachable(state text)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN state LIKE '08%' OR state IN ('57P01', '57P02', '57P03', '57P05', '53300');

COMMENT ON FUNCTION colbert._is_unreachable(text) IS 'Whether an SQLSTATE says that a server cannot be reached.';
