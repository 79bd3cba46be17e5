-- What a shard is asked about its index. Rows of colbert.indexes are taken whole, since older versions have fewer columns.
CREATE OR REPLACE FUNCTION colbert._question_sql(remote text, embeddings name)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN format(
  'SELECT pg_catalog.jsonb_build_object('
  '''version'', colbert.version(),'
  '''searches'', pg_catalog.to_regprocedure(''colbert.search_shard(text, text, jsonb)'') IS NOT NULL,'
  '''index'', (SELECT pg_catalog.to_jsonb(i) FROM colbert.indexes AS i'
  '             WHERE i.source OPERATOR(pg_catalog.=) %L::pg_catalog.regclass'
  '               AND i.embeddings OPERATOR(pg_catalog.=) %L::pg_catalog.name))',
  remote, embeddings);

COMMENT ON FUNCTION colbert._question_sql(text, name) IS 'SQL that asks a shard about its index.';

CREATE OR REPLACE FUNCTION colbert._ask_about_index(
  index colbert._index, shards colbert._shard[], on_failure text DEFAULT 'error')
RETURNS jsonb[]
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_ask_about_index$
BEGIN
  RETURN colbert._ask_shards(
    shards, ARRAY(SELECT colbert._question_sql(s.remote, index.embeddings) FROM unnest(shards) AS s), on_failure);
END
$_ask_about_index$;

COMMENT ON FUNCTION colbert._ask_about_index(colbert._index, colbert._shard[], text) IS
  'What each shard answers to the question about its index.';

CREATE OR REPLACE FUNCTION colbert._refuse_answer(index colbert._index, shard colbert._shard, answer jsonb)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_answer$
DECLARE
  _problem record := colbert._problem_of_shard(index, shard, answer);
BEGIN
  IF _problem.problem IS NOT NULL THEN
    RAISE EXCEPTION '%: %', colbert._shard_name(shard), _problem.problem
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = _problem.advice;
  END IF;
END
$_refuse_answer$;

COMMENT ON FUNCTION colbert._refuse_answer(colbert._index, colbert._shard, jsonb) IS
  'Raises for a shard whose index is missing, or another than that of the table.';

-- What keeps a shard from taking part, from its answer to _question_sql, and what to do about it. NULLs where nothing does.
CREATE OR REPLACE FUNCTION colbert._problem_of_shard(
  index colbert._index, shard colbert._shard, answer jsonb, OUT problem text, OUT advice text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_problem_of_shard$
DECLARE
  _index jsonb := nullif(answer -> 'index', 'null');
  _anew text := format('Drop that index, and create it as it is here: key "%s", %s dimensions%s.',
                       index.key, index.dimensions, format(', model %s', index.options -> 'model'));
BEGIN
  IF answer ? 'failure' THEN
    problem := answer ->> 'failure';
    advice := CASE WHEN shard.partition IS NULL THEN 'Look at the node.' ELSE 'Look at the server and at its user mapping.' END;
  ELSIF NOT (answer ->> 'searches')::boolean THEN
    problem := format('it has colbert_pg %s, which has no search_shard', answer ->> 'version');
    advice := format('Upgrade colbert_pg there to %s.', colbert.version());
  ELSIF _index IS NULL THEN
    problem := format('table %s has no late-interaction index on column "%s"', shard.remote, index.embeddings);
    advice := CASE
      WHEN shard.partition IS NULL THEN
        format('Was it moved or split? SELECT colbert.repair_index(%L, %L)', index.source, index.embeddings)
      ELSE
        format('Run there: SELECT colbert.create_index(%L, %L, key => %L)%s', shard.remote, index.embeddings, index.key,
               CASE WHEN shard.server IS NOT NULL THEN '; or pass options => ''{"create_on_shards": true}''' ELSE '' END)
      END;
  ELSIF _index ->> 'key' <> index.key THEN
    problem := format('its index has the key "%s", not "%s"', _index ->> 'key', index.key);
    advice := _anew;
  ELSIF (_index ->> 'dimensions')::integer <> index.dimensions THEN
    problem := format('its index has %s dimensions, not %s', _index ->> 'dimensions', index.dimensions);
    advice := _anew;
  ELSIF _index -> 'options' -> 'model' IS DISTINCT FROM index.options -> 'model' THEN
    problem := format('its index is of model %s, not %s', coalesce(_index -> 'options' -> 'model', 'null'),
                      coalesce(index.options -> 'model', 'null'));
    advice := _anew;
  END IF;
END
$_problem_of_shard$;

COMMENT ON FUNCTION colbert._problem_of_shard(colbert._index, colbert._shard, jsonb) IS
  'What keeps a shard from taking part in searches, and what to do about it.';
