-- Settings hold for the search alone, as SET LOCAL would set them: they are put back at the end, and an error undoes
-- them. A knob that was not set is empty after that, which is the same to all that read it.
CREATE OR REPLACE FUNCTION colbert._search_shard(source text, query vector[], request jsonb, search_path text)
RETURNS TABLE (doc_id text, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
AS $_search_shard$
DECLARE
  _search_path text;
  _source regclass;
  _settings text[];
  _values text[];
  _before text[];
BEGIN
  PERFORM colbert._refuse_request(request, jsonb '{
    "version": "number", "k": "number", "filter": "string", "params": "object", "candidates": "number",
    "exact": "boolean", "embeddings": "string", "min_score": "number", "search_path": "string",
    "time_zone": "string", "knobs": "object"}');
  _search_path := coalesce(request ->> 'search_path', _search_shard.search_path);
  PERFORM set_config('search_path', _search_path, true);
  _source := _search_shard.source::regclass;
  PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);

  SELECT array_agg(s.name), array_agg(s.value), array_agg(coalesce(current_setting(s.name, true), ''))
    INTO _settings, _values, _before
    FROM (SELECT 'colbert.' || k.key AS name, k.value
            FROM jsonb_each_text(nullif(request -> 'knobs', 'null')) AS k
           UNION ALL
          SELECT 'TimeZone', request ->> 'time_zone') AS s
   WHERE s.value IS NOT NULL;
  PERFORM set_config(s.name, s.value, true) FROM unnest(_settings, _values) AS s (name, value);
  RETURN QUERY
    SELECT s.doc_id, s.score
      FROM colbert._search(
             _source, query, NULL::text, coalesce((request ->> 'k')::integer, 10), request ->> 'filter',
             nullif(request -> 'params', 'null'), (request ->> 'candidates')::integer,
             coalesce((request ->> 'exact')::boolean, false), (request ->> 'embeddings')::name,
             _search_path, (request ->> 'min_score')::float8) AS s;
  PERFORM set_config(s.name, s.value, true) FROM unnest(_settings, _before) AS s (name, value);
END
$_search_shard$;

COMMENT ON FUNCTION colbert._search_shard(text, vector[], jsonb, text) IS
  'The body of search_shard; search_path is the caller''s.';

CREATE OR REPLACE FUNCTION colbert._query_of_text(query text)
RETURNS vector[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
RETURN query::vector[];

COMMENT ON FUNCTION colbert._query_of_text(text) IS 'A query that came as text.';

-- The version of the contract, which grows when a member is added to requests.
CREATE OR REPLACE FUNCTION colbert._request_version()
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN 1;

COMMENT ON FUNCTION colbert._request_version() IS 'The version of the requests that search_shard and call_shard understand.';

CREATE OR REPLACE FUNCTION colbert._refuse_request(request jsonb, types jsonb)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_request$
DECLARE
  _whole constant text[] := ARRAY['version', 'k', 'candidates', 'buckets', 'bucket'];
  _unknown text;
  _wrong text;
BEGIN
  IF request IS NULL OR jsonb_typeof(request) <> 'object' THEN
    RAISE EXCEPTION 'request must be a JSON object'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'For example ''{"version": 1, "k": 10}''.';
  END IF;
  _unknown := (SELECT string_agg(format('"%s"', n.name), ', ' ORDER BY n.name)
                 FROM (SELECT r.name FROM jsonb_object_keys(request) AS r (name) WHERE NOT types ? r.name
                        UNION ALL
                       SELECT 'knobs.' || k.name
                         FROM jsonb_object_keys(CASE WHEN jsonb_typeof(request -> 'knobs') = 'object'
                                                     THEN request -> 'knobs' ELSE jsonb '{}' END) AS k (name)
                        WHERE k.name <> ALL (colbert._known_knobs())) AS n (name));
  IF _unknown IS NOT NULL
     OR (jsonb_typeof(request -> 'version') = 'number'
         AND (request ->> 'version')::numeric > colbert._request_version()) THEN
    RAISE EXCEPTION 'this shard does not understand the request: %',
                    coalesce('it has ' || _unknown, format('it is of version %s', request -> 'version'))
      USING ERRCODE = 'feature_not_supported',
            DETAIL = format('The request says version %s. This is colbert_pg %s, which understands requests up to version %s.',
                            coalesce(request ->> 'version', '1'), colbert.version(),
                            colbert._request_version()),
            HINT = 'Upgrade colbert_pg on this shard to the version of the server that asks, or mend the request.';
  END IF;
  _wrong := (SELECT min(r.key) FROM jsonb_each(request) AS r
              WHERE jsonb_typeof(r.value) NOT IN (types ->> r.key, 'null')
                AND r.key <> 'params'
                 OR r.key = ANY (_whole)
                    AND jsonb_typeof(r.value) = 'number' AND r.value #>> '{}' !~ '^-?[0-9]{1,9}$');
  IF _wrong IS NOT NULL THEN
    RAISE EXCEPTION '"%" of the request must not be %', _wrong, request -> _wrong
      USING ERRCODE = 'invalid_parameter_value',
            HINT = format('It takes a value of JSON''s type %s%s.', types ->> _wrong,
                          CASE WHEN _wrong = ANY (_whole) THEN ', a whole number' ELSE '' END);
  END IF;
END
$_refuse_request$;

COMMENT ON FUNCTION colbert._refuse_request(jsonb, jsonb) IS
  'Raises for a request that this version cannot answer as it is meant; types are those of the members, by name.';
