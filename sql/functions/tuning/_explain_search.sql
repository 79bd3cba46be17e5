CREATE OR REPLACE FUNCTION colbert._explain_search(
  source regclass, query vector[], key anyelement, k integer, filter text, params jsonb,
  candidates integer, exact boolean, embeddings name, search_path text,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (stage text, documents bigint, milliseconds float8, detail text, rows_read bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
ROWS 4
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $_explain_search$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _scope colbert._scope := colbert._scope(_index, filter, params, search_path);
  _effort colbert._effort;
  _found record;
  _keys text[];
  _read bigint;
  _scored bigint := 0;
  _least_score float8;
  _started timestamptz;
BEGIN
  PERFORM colbert._refuse_search(_index, query, k, key),
          colbert._refuse_key_type(_index.source, (colbert._source_types(_index)).key_base, pg_typeof(key));
  _least_score := colbert._least_score(_index, query, min_score);

  IF _scope.restricted THEN
    _started := clock_timestamp();
    stage := 'scope';
    documents := colbert._count_matching(_scope, NULL);
    milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
    detail := CASE WHEN filter IS NULL THEN 'row-level security' ELSE 'filter' END;
    RETURN NEXT;
  END IF;

  IF exact IS NOT TRUE AND NOT colbert._method_is_exact(_index.method) THEN
    _effort := colbert._effort(_index, cardinality(query), k, candidates);
    _read := colbert._rows_read(_index);
    _started := clock_timestamp();
    _found := colbert._candidates(_index, query, _scope, _effort);
    stage := 'candidates';
    documents := coalesce(cardinality(_found.keys), 0);
    milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
    rows_read := colbert._rows_read(_index) - _read;
    _keys := _found.keys;
    detail := CASE WHEN _keys IS NULL THEN 'none: scoring the whole scope is the better way'
                   ELSE format('%s query tokens', cardinality(query)) END;
    RETURN NEXT;
    rows_read := NULL;
  END IF;

  IF cardinality(_keys) >= k THEN
    _started := clock_timestamp();
    _scored := (SELECT count(*)
                  FROM colbert._score_candidates(_index, query, _scope, _found.keys, _found.gains, _effort,
                                                  _least_score) AS s);
    stage := 'scores';
    documents := _scored;
    milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
    detail := concat_ws(', ', format('of at most %s', _effort.candidates), 'patience ' || _effort.patience,
                        'margin ' || round(_effort.margin::numeric, 2),
                        'least score ' || round(_least_score::numeric, 4));
    RETURN NEXT;
  END IF;

  IF _scored < k THEN
    _started := clock_timestamp();
    PERFORM count(*)
       FROM colbert._search(source, query, key, k, filter, params, NULL, true, embeddings, search_path, min_score) AS s;
    stage := 'all';
    documents := colbert._count_matching(_scope, NULL);
    milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
    detail := 'every document of the scope';
    RETURN NEXT;
  END IF;
END
$_explain_search$;

COMMENT ON FUNCTION colbert._explain_search(regclass, vector[], anyelement, integer, text, jsonb, integer, boolean, name, text, float8) IS
  'The body of all forms of explain_search; search_path is the caller''s.';

-- PostgreSQL counts rows that are read through indexes, and in scans of whole tables.
CREATE OR REPLACE FUNCTION colbert._rows_read(index colbert._index)
RETURNS bigint
LANGUAGE sql VOLATILE PARALLEL RESTRICTED SECURITY INVOKER
BEGIN ATOMIC
  SELECT (SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(t)), 0) FROM unnest(index.tables) AS t)
         + (SELECT coalesce(sum(pg_stat_get_xact_tuples_fetched(i.indexrelid)), 0)
              FROM pg_catalog.pg_index AS i
             WHERE i.indrelid = ANY (index.tables));
END;

COMMENT ON FUNCTION colbert._rows_read(colbert._index) IS
  'How many rows of an index''s derived tables this transaction has read so far.';
