CREATE OR REPLACE FUNCTION colbert._explain_search(
  source regclass, query vector[], key anyelement, k integer, filter text, params jsonb,
  candidates integer, exact boolean, embeddings name, search_path text,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (stage text, documents bigint, milliseconds float8, detail text, rows_read bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
ROWS 4
SET search_path = pg_catalog, pg_temp
AS $_explain_search$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _least_score float8;
  _parts colbert._index[] := ARRAY[_index];
BEGIN
  PERFORM colbert._refuse_search(_index, query, k, key),
          colbert._refuse_key_type(_index.source, (colbert._source_types(_index)).key_base, pg_typeof(key));
  _least_score := colbert._least_score(_index, query, min_score);
  IF colbert._tenant_column(_index) IS NOT NULL THEN
    SELECT t.parts, 'tenants', t.milliseconds, t.detail
      INTO _parts, stage, milliseconds, detail
      FROM colbert._explain_tenants(_index, filter, params, exact, search_path) AS t;
    RETURN NEXT;
  END IF;
  RETURN QUERY
    SELECT e.stage, sum(e.documents)::bigint, sum(e.milliseconds),
           CASE count(*) WHEN 1 THEN min(e.detail) ELSE format('%s parts of the index', count(*)) END,
           sum(e.rows_read)::bigint
      FROM unnest(_parts) AS i
     CROSS JOIN LATERAL colbert._explain_documents(
                          i, query, k, filter, params, candidates, exact, search_path, _least_score)
                        WITH ORDINALITY AS e
     GROUP BY e.stage
     ORDER BY min(e.ordinality);
END
$_explain_search$;

COMMENT ON FUNCTION colbert._explain_search(regclass, vector[], anyelement, integer, text, jsonb, integer, boolean, name, text, float8) IS
  'The body of all forms of explain_search; search_path is the caller''s.';

-- The parts that a search goes through, and how they are found.
CREATE OR REPLACE FUNCTION colbert._explain_tenants(
  index colbert._index, filter text, params jsonb, exact boolean, search_path text,
  OUT parts colbert._index[], OUT milliseconds float8, OUT detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_explain_tenants$
DECLARE
  _started timestamptz := clock_timestamp();
BEGIN
  SELECT array_agg(p) INTO parts FROM colbert._parts_to_search(index, filter, params, exact, search_path) AS p;
  milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
  SELECT format('%s tenants, %s parts of the index', coalesce(sum(cardinality(p.tenants)), 0),
                count(*) FILTER (WHERE p.part > 0))
    INTO detail
    FROM unnest(parts) AS p;
  IF NOT colbert._leads_with_tenant(index) THEN
    detail := detail || format('; all rows are read for that: no index begins with "%s"', colbert._tenant_column(index));
  ELSIF (filter IS NOT NULL OR row_security_active(index.source))
        AND NOT colbert._looks_tenants_up(index, filter, params, search_path) THEN
    detail := detail || format('; all rows are read for that: what the filter and row-level security ask for is no condition '
                               'on an index that begins with "%s"', colbert._tenant_column(index));
  END IF;
END
$_explain_tenants$;

COMMENT ON FUNCTION colbert._explain_tenants(colbert._index, text, jsonb, boolean, text) IS
  'The parts of an index that a search goes through, how long it takes to find them, and why.';

CREATE OR REPLACE FUNCTION colbert._explain_documents(
  index colbert._index, query vector[], k integer, filter text, params jsonb,
  candidates integer, exact boolean, search_path text, least_score float8)
RETURNS TABLE (stage text, documents bigint, milliseconds float8, detail text, rows_read bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
ROWS 4
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $_explain_documents$
DECLARE
  _scope colbert._scope := colbert._scope(index, filter, params, search_path);
  _reads colbert._index := colbert._method_reads(index);
  _effort colbert._effort;
  _found record;
  _keys text[];
  _read bigint;
  _scored bigint := 0;
  _started timestamptz;
BEGIN
  IF _scope.restricted THEN
    _started := clock_timestamp();
    stage := 'scope';
    documents := colbert._count_matching(_scope, NULL);
    milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
    detail := CASE WHEN filter IS NULL THEN 'row-level security' ELSE 'filter' END;
    RETURN NEXT;
  END IF;

  IF exact IS NOT TRUE AND NOT colbert._method_is_exact(index.method) THEN
    _effort := colbert._effort(index, _scope, cardinality(query), k, candidates);
    _read := colbert._rows_read(_reads);
    _started := clock_timestamp();
    _found := colbert._candidates(index, query, _scope, _effort);
    stage := 'candidates';
    documents := coalesce(cardinality(_found.keys), 0);
    milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
    rows_read := colbert._rows_read(_reads) - _read;
    _keys := _found.keys;
    detail := CASE WHEN NOT colbert._method_finds(index)
                   THEN 'none: row-level security applies, and centroids are of all documents; see the option "tenant"'
                   WHEN _keys IS NULL THEN 'none: scoring the whole scope is the better way'
                   ELSE format('%s query tokens', cardinality(query)) END
              || CASE WHEN _reads.id <> index.id
                      THEN format('; first stage: %s, %s', _reads.embeddings,
                                  CASE WHEN colbert._method_finds(_reads) THEN _reads.method ELSE 'all scored' END)
                      ELSE '' END;
    RETURN NEXT;
    rows_read := NULL;
  END IF;

  IF cardinality(_keys) >= k THEN
    _started := clock_timestamp();
    _scored := (SELECT count(*)
                  FROM colbert._score_candidates(index, query, _scope, _found.keys, _found.gains, _effort,
                                                  least_score) AS s);
    stage := 'scores';
    documents := _scored;
    milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
    detail := concat_ws(', ', format('of at most %s', _effort.candidates), 'patience ' || _effort.patience,
                        'margin ' || round(_effort.margin::numeric, 2),
                        'least score ' || round(least_score::numeric, 4));
    RETURN NEXT;
  END IF;

  IF _scored < coalesce(_effort.k, k) THEN
    _started := clock_timestamp();
    PERFORM count(*)
       FROM colbert._search_documents(index, query, NULL::text, k, filter, params, NULL, true, search_path, least_score) AS s;
    stage := 'all';
    documents := colbert._count_matching(_scope, NULL);
    milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
    detail := 'every document of the scope';
    RETURN NEXT;
  END IF;
END
$_explain_documents$;

COMMENT ON FUNCTION colbert._explain_documents(colbert._index, vector[], integer, text, jsonb, integer, boolean, text, float8) IS
  'The stages of a search of an index, or of a part of it.';

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
