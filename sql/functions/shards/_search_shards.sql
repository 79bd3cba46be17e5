-- A search over shards: the k best of each, merged by score and key. Filter, values and knobs go along. The documents
-- that a shard holds are searched as of when its turn comes: there is one snapshot for each shard.
CREATE OR REPLACE FUNCTION colbert._search_shards(
  index colbert._index, query vector[], key anyelement, k integer, filter text, params jsonb,
  candidates integer, exact boolean, search_path text, min_score float8)
RETURNS TABLE (doc_id anyelement, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
AS $_search_shards$
DECLARE
  _request jsonb := jsonb_build_object(
    'version', colbert._request_version(), 'k', k, 'filter', filter, 'params', params, 'candidates', candidates,
    'exact', exact, 'embeddings', index.embeddings, 'min_score', min_score, 'search_path', search_path,
    'time_zone', current_setting('TimeZone'),
    'knobs', (SELECT coalesce(jsonb_object_agg(n.name, n.value), '{}')
                FROM (SELECT u.name, nullif(current_setting('colbert.' || u.name, true), '') AS value
                        FROM unnest(colbert._known_knobs()) AS u (name)) AS n
               WHERE n.value IS NOT NULL));
BEGIN
  PERFORM colbert._refuse_filter(index.source, filter, params);
  RETURN QUERY EXECUTE format(
    'SELECT a.doc_id::%s, a.score FROM colbert._answers_of_shards($1, $2) AS a '
    ' ORDER BY a.score DESC, a.doc_id::%s LIMIT $3',
    colbert._type_name(pg_typeof(key)), (colbert._source_types(index)).key_cast)
    USING index, format('colbert.search_shard(%%L, %s, %s)', replace(quote_literal(query), '%', '%%'),
                        replace(quote_literal(_request), '%', '%%')), k;
END
$_search_shards$;

COMMENT ON FUNCTION colbert._search_shards(colbert._index, vector[], anyelement, integer, text, jsonb, integer, boolean, text, float8) IS
  'The best documents of all shards; search_path is the caller''s.';

-- The caller needs SELECT on the source, as for any search. Its row-level security says nothing about rows that are
-- elsewhere.
CREATE OR REPLACE FUNCTION colbert._refuse_reader_of_shards(index colbert._index)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_reader_of_shards$
BEGIN
  EXECUTE format('SELECT s.%I, s.%I FROM %s AS s WHERE false', index.key, index.embeddings, index.source);
  IF row_security_active(index.source) THEN
    RAISE EXCEPTION 'row-level security of table "%" does not reach its shards', index.source
      USING ERRCODE = 'feature_not_supported',
            HINT = 'Put the policies on the tables of the shards, and map each role to one of its own there.';
  END IF;
END
$_refuse_reader_of_shards$;

COMMENT ON FUNCTION colbert._refuse_reader_of_shards(colbert._index) IS
  'Raises for a caller who may not read the table, or whom row-level security limits.';

-- What a function that returns (doc_id, score) finds on each shard. call is SQL with %L for the table.
CREATE OR REPLACE FUNCTION colbert._answers_of_shards(index colbert._index, call text)
RETURNS TABLE (doc_id text, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
AS $_answers_of_shards$
DECLARE
  _on_failure text := colbert._on_failure();
  _shards colbert._shard[];
  _answers jsonb[];
BEGIN
  PERFORM colbert._refuse_reader_of_shards(index);
  _shards := ARRAY(SELECT s FROM colbert._shards_of(index.source) AS s);
  _answers := colbert._ask_shards(
    _shards,
    ARRAY(SELECT 'SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(r.doc_id, r.score)), ''[]'') FROM '
                 || format(call, s.remote) || ' AS r'
            FROM unnest(_shards) WITH ORDINALITY AS s (partition, server, remote, connection, position)
           ORDER BY s.position),
    _on_failure);
  RETURN QUERY
    SELECT f.found ->> 0, (f.found ->> 1)::float8
      FROM unnest(_answers) AS a (answer)
     CROSS JOIN LATERAL jsonb_array_elements(a.answer) AS f (found);
END
$_answers_of_shards$;

COMMENT ON FUNCTION colbert._answers_of_shards(colbert._index, text) IS
  'The rows of a function that returns (doc_id, score) from all shards, in no order.';

-- SET colbert.shards = 'reachable' leaves out, with a warning, shards that cannot be reached.
CREATE OR REPLACE FUNCTION colbert._on_failure()
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_on_failure$
DECLARE
  _shards text := coalesce(nullif(current_setting('colbert.shards', true), ''), 'all');
BEGIN
  IF _shards NOT IN ('all', 'reachable') THEN
    RAISE EXCEPTION 'colbert.shards must be all or reachable, not "%"', _shards
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'RESET colbert.shards, or set it anew.';
  END IF;
  RETURN CASE _shards WHEN 'all' THEN 'error' ELSE 'warning' END;
END
$_on_failure$;

COMMENT ON FUNCTION colbert._on_failure() IS 'What a search does about a shard that cannot be reached.';
