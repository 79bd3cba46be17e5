CREATE OR REPLACE FUNCTION colbert._explain_search(
  source regclass, query vector[], key anyelement, k integer, filter text, params jsonb,
  candidates integer, exact boolean, embeddings name, search_path text)
RETURNS TABLE (stage text, documents bigint, milliseconds float8, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
ROWS 4
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $_explain_search$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _scope colbert._scope := colbert._scope(_index, filter, params, search_path);
  _effort record := colbert._effort(_index, k, candidates);
  _insight text := colbert._operation(_index.method, 'insight');
  _keys text[];
  _scored bigint := 0;
  _started timestamptz;
BEGIN
  PERFORM colbert._refuse_query(_index, query),
          colbert._refuse_count('k', k),
          colbert._refuse_key_value(key),
          colbert._refuse_key_type(_index.source, (colbert._source_types(_index)).key_base, pg_typeof(key));

  IF _scope.restricted THEN
    _started := clock_timestamp();
    stage := 'scope';
    documents := colbert._count_matching(_scope, NULL);
    milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
    detail := CASE WHEN filter IS NULL THEN 'row-level security' ELSE 'filter' END;
    RETURN NEXT;
  END IF;

  IF exact IS NOT TRUE AND _insight IS NOT NULL THEN
    _started := clock_timestamp();
    _keys := colbert._candidate_keys(_index, query, _scope, _effort.candidates);
    stage := 'candidates';
    documents := coalesce(cardinality(_keys), 0);
    milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
    IF _keys IS NULL THEN
      detail := 'none: scoring the whole scope is the better way';
    ELSE
      EXECUTE format('SELECT %s($1, $2)', _insight) INTO detail USING _index, query;
    END IF;
    RETURN NEXT;
  END IF;

  IF cardinality(_keys) >= k THEN
    _started := clock_timestamp();
    _scored := (SELECT count(*)
                  FROM colbert._score_candidates(_index, query, _scope, _keys, k, _effort.patience) AS s);
    stage := 'scores';
    documents := _scored;
    milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
    detail := format('of at most %s, patience %s', _effort.candidates, _effort.patience);
    RETURN NEXT;
  END IF;

  IF _scored < k THEN
    _started := clock_timestamp();
    PERFORM count(*)
       FROM colbert._search(source, query, key, k, filter, params, NULL, true, embeddings, search_path) AS s;
    stage := 'all';
    documents := colbert._count_matching(_scope, NULL);
    milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
    detail := 'every document of the scope';
    RETURN NEXT;
  END IF;
END
$_explain_search$;

COMMENT ON FUNCTION colbert._explain_search(regclass, vector[], anyelement, integer, text, jsonb, integer, boolean, name, text) IS
  'The body of all forms of explain_search; search_path is the caller''s.';
