-- The cheapest first: how much is read, and when a search stops. They hold for every method and every k.
CREATE OR REPLACE FUNCTION colbert._tuning_trials()
RETURNS SETOF jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
ROWS 20
BEGIN ATOMIC
  SELECT jsonb_build_object('effort', e.effort, 'margin', m.margin)
    FROM unnest(ARRAY[0.25, 0.5, 1, 2, 4]) AS e (effort)
   CROSS JOIN unnest(ARRAY[1.5, 2, 2.5, 3]) AS m (margin);
END;

COMMENT ON FUNCTION colbert._tuning_trials() IS 'The values of knobs that tune tries.';

-- Tries values of knobs on the caller's own data, keeps the fastest that reach the target in the index's options, and
-- returns what it tried, fastest first. Where none reaches it, the options stay as they are. queries, sample, filter
-- and params are as in measure_recall. For the owner of the table, on as quiet a server as there is.
CREATE OR REPLACE FUNCTION colbert._tune(
  source regclass, target_recall float8, queries regclass, k integer, sample integer, embeddings name,
  query_column name, filter text, params jsonb, search_path text)
RETURNS TABLE (setting jsonb, recall float8, milliseconds float8, speedup float8, chosen boolean)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tune$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _session jsonb;  -- the caller's own knobs, which come back at the end
  _drawn record;
  _setting jsonb;
  _measured record;
  _tried jsonb := jsonb '[]';
  _best jsonb;
BEGIN
  PERFORM colbert._refuse_stranger(_index.source);
  IF colbert._method_is_exact(_index.method) THEN
    RAISE EXCEPTION 'an index of method % has nothing to tune', _index.method
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Its searches are exact. Create the index with another method.';
  ELSIF target_recall IS NULL OR target_recall NOT BETWEEN 0 AND 1 THEN
    RAISE EXCEPTION 'target_recall must be from 0 to 1, not %', coalesce(target_recall::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'It is the share of the best k documents to find: target_recall => 0.95.';
  END IF;

  _session := (SELECT jsonb_object_agg(n, coalesce(current_setting('colbert.' || n, true), ''))
                 FROM unnest(ARRAY['effort', 'margin', 'candidates', 'patience', 'nprobe', 'hits', 'ef_search']) AS n);
  PERFORM set_config('colbert.' || n, '', true) FROM jsonb_object_keys(_session) AS n;
  _drawn := colbert._draw_sample(_index, queries, query_column, sample, k, filter, params, search_path);
  FOR _setting IN SELECT t FROM colbert._tuning_trials() AS t LOOP
    PERFORM set_config('colbert.' || s.key, s.value, true) FROM jsonb_each_text(_setting) AS s;
    _measured := colbert._measure(_index, _drawn.sample, k, NULL, filter, params, search_path);
    _tried := _tried || jsonb_build_object(
      'setting', _setting, 'recall', _measured.recall, 'milliseconds', _measured.milliseconds,
      'speedup', _drawn.milliseconds / _measured.milliseconds);
  END LOOP;

  _best := (SELECT t.setting
              FROM jsonb_to_recordset(_tried) AS t (setting jsonb, recall float8, milliseconds float8)
             WHERE t.recall >= target_recall
             ORDER BY t.milliseconds
             LIMIT 1);
  PERFORM set_config('colbert.' || s.key, s.value, true) FROM jsonb_each_text(_session) AS s;
  UPDATE colbert._index AS i SET options = i.options || _best WHERE i.id = _index.id AND _best IS NOT NULL;
  RETURN QUERY
    SELECT t.setting, t.recall, t.milliseconds, t.speedup, t.setting IS NOT DISTINCT FROM _best
      FROM jsonb_to_recordset(_tried) AS t (setting jsonb, recall float8, milliseconds float8, speedup float8)
     ORDER BY t.milliseconds;
END
$_tune$;

COMMENT ON FUNCTION colbert._tune(regclass, float8, regclass, integer, integer, name, name, text, jsonb, text) IS
  'The body of tune; search_path is the caller''s.';

CREATE OR REPLACE FUNCTION colbert.tune(
  source regclass,
  target_recall float8 DEFAULT 0.95,
  queries regclass DEFAULT NULL,
  k integer DEFAULT 10,
  sample integer DEFAULT 50,
  embeddings name DEFAULT NULL,
  query_column name DEFAULT NULL,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL)
RETURNS TABLE (setting jsonb, recall float8, milliseconds float8, speedup float8, chosen boolean)
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
ROWS 20
BEGIN ATOMIC
  SELECT t.setting, t.recall, t.milliseconds, t.speedup, t.chosen
    FROM colbert._tune(source, target_recall, queries, k, sample, embeddings, query_column, filter, params,
                       current_setting('search_path')) AS t;
END;

COMMENT ON FUNCTION colbert.tune(regclass, float8, regclass, integer, integer, name, name, text, jsonb) IS
  'Tries settings of an index, keeps the fastest that reaches the target recall in its options, and returns what it tried. For the owner of the table.';
