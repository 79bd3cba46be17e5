CREATE OR REPLACE FUNCTION colbert._call_shard(source regclass, operation text, request jsonb, query vector[])
RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
COST 100000
SET search_path = pg_catalog, pg_temp
AS $_call_shard$
DECLARE
  _members constant jsonb := jsonb '{
    "check_index": {"sample": "number"},
    "keys": {"buckets": "number", "bucket": "number", "tenant": "string"},
    "repair_index": {}, "reindex": {"retrain": "boolean"}, "drop_index": {},
    "maxsim": {"query": "string", "doc_id": "string"},
    "maxsim_matches": {"query": "string", "doc_id": "string"}}';
  _embeddings name := request ->> 'embeddings';
  _answer jsonb;
BEGIN
  IF (_members ? operation) IS NOT TRUE THEN
    RAISE EXCEPTION 'this shard does not know the operation "%"', operation
      USING ERRCODE = 'feature_not_supported',
            DETAIL = format('This is colbert_pg %s, which knows %s.', colbert.version(),
                            (SELECT string_agg(m.name, ', ' ORDER BY m.name) FROM jsonb_object_keys(_members) AS m (name))),
            HINT = 'Upgrade colbert_pg on this shard to the version of the server that asks, or mend the request.';
  END IF;
  PERFORM colbert._refuse_request(
            request, jsonb '{"version": "number", "embeddings": "string"}' || (_members -> operation));

  CASE operation
    WHEN 'check_index' THEN
      _answer := (SELECT jsonb_build_object(
                           'documents', colbert._estimated_rows(source),
                           'problems', coalesce(jsonb_agg(jsonb_build_array(c.problem, c.doc_id, c.detail)), '[]'))
                    FROM colbert.check_index(source, _embeddings, coalesce((request ->> 'sample')::float8, 1)) AS c);
    WHEN 'keys' THEN
      _answer := colbert._keys_in_bucket(colbert._find_any_index(source, _embeddings),
                                         coalesce((request ->> 'buckets')::integer, 1),
                                         coalesce((request ->> 'bucket')::integer, 0), (request ->> 'tenant')::name);
    WHEN 'repair_index' THEN
      _answer := to_jsonb(colbert.repair_index(source, _embeddings));
    WHEN 'reindex' THEN
      PERFORM colbert.reindex(source, _embeddings, coalesce((request ->> 'retrain')::boolean, true));
      _answer := to_jsonb(true);
    WHEN 'drop_index' THEN
      IF NOT EXISTS (SELECT FROM colbert._index AS i
                      WHERE i.source = _call_shard.source AND (i.embeddings = _embeddings) IS NOT FALSE) THEN
        RETURN to_jsonb(false);
      END IF;
      PERFORM colbert.drop_index(source, _embeddings);
      _answer := to_jsonb(true);
    WHEN 'maxsim' THEN
      _answer := coalesce(to_jsonb(colbert.maxsim(query, request ->> 'doc_id', source, _embeddings)), 'null');
    WHEN 'maxsim_matches' THEN
      _answer := (SELECT coalesce(jsonb_agg(jsonb_build_array(m.query_position, m.document_position, m.similarity)), '[]')
                    FROM colbert.maxsim_matches(query, request ->> 'doc_id', source, _embeddings) AS m);
  END CASE;
  RETURN _answer;
END
$_call_shard$;

COMMENT ON FUNCTION colbert._call_shard(regclass, text, jsonb, vector[]) IS
  'The body of call_shard; query is that of the request.';

-- Equal keys have the same hash on all servers, by the hash of their type: 1.1 and 1.10 of type numeric are in one
-- bucket. The few types that have none are told apart by their text. Arrays are not read. With the column tenant, each key
-- comes with what is there.
CREATE OR REPLACE FUNCTION colbert._keys_in_bucket(
  index colbert._index, buckets integer, bucket integer, tenant name DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET DateStyle = 'ISO'
SET IntervalStyle = 'postgres'
AS $_keys_in_bucket$
DECLARE
  _statement constant text := format(
    'SELECT coalesce(jsonb_agg(%1$s), ''[]'') FROM %2$s AS s WHERE $1 = 1 OR mod(%%s & 9223372036854775807, $1) = $2',
    replace(CASE WHEN tenant IS NULL THEN format('s.%I::text', index.key)
                 ELSE format('jsonb_build_array(s.%I::text, s.%I::text)', tenant, index.key) END, '%', '%%'),
    index.source);
  _keys jsonb;
BEGIN
  IF buckets < 1 OR bucket NOT BETWEEN 0 AND buckets - 1 THEN
    RAISE EXCEPTION 'there is no bucket % of %', bucket, buckets
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Buckets count from 0.';
  END IF;
  BEGIN
    EXECUTE format(_statement, format('hash_record_extended(ROW(s.%I), 0)', index.key)) INTO _keys USING buckets, bucket;
  EXCEPTION WHEN undefined_function THEN
    EXECUTE format(_statement, format('hashtextextended(s.%I::text, 0)', index.key)) INTO _keys USING buckets, bucket;
  END;
  RETURN _keys;
END
$_keys_in_bucket$;

COMMENT ON FUNCTION colbert._keys_in_bucket(colbert._index, integer, integer, name) IS
  'The keys of a table that fall into one of so many buckets, with their tenants where that column is named.';
