-- The body of check_index over shards: what each finds, with the shard named in the detail, and beside that
--
--   shard            the index of the shard is missing, or another than that of the table
--   duplicate key    a document with this key, of this tenant where there are tenants, is on several shards
CREATE OR REPLACE FUNCTION colbert._check_shards(index colbert._index, sample float8)
RETURNS TABLE (problem text, doc_id text, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_check_shards$
DECLARE
  _shards colbert._shard[] := ARRAY(SELECT s FROM colbert._shards_of(index.source) AS s);
  _states jsonb[] := colbert._ask_about_index(index, _shards, colbert._on_failure());
  _sound colbert._shard[] := ARRAY[]::colbert._shard[];
  _problem record;
  _checked record;
  _documents float8 := 0;
BEGIN
  FOR i IN 1 .. cardinality(_shards) LOOP
    CONTINUE WHEN _states[i] IS NULL;
    _problem := colbert._problem_of_shard(index, _shards[i], _states[i]);
    IF _problem.problem IS NULL THEN
      _sound := _sound || _shards[i];
    ELSE
      problem := 'shard';
      detail := format('%s: %s. %s', colbert._shard_name(_shards[i]), _problem.problem, _problem.advice);
      RETURN NEXT;
    END IF;
  END LOOP;

  FOR _checked IN
    SELECT c.shard, c.answer
      FROM colbert._call_shards(index, _sound, 'check_index', jsonb_build_object('sample', sample)) AS c
  LOOP
    _documents := _documents + (_checked.answer ->> 'documents')::float8;
    RETURN QUERY
      SELECT p.found ->> 0, p.found ->> 1, concat_ws(': ', colbert._shard_name(_checked.shard), p.found ->> 2)
        FROM jsonb_array_elements(_checked.answer -> 'problems') WITH ORDINALITY AS p (found, position)
       ORDER BY p.position;
  END LOOP;

  RETURN QUERY
    SELECT d.problem, d.doc_id, d.detail
      FROM colbert._duplicate_keys(index, colbert._one_of_each(_sound), _documents, sample) AS d;
END
$_check_shards$;

COMMENT ON FUNCTION colbert._check_shards(colbert._index, float8) IS
  'The problems of all shards of an index, and the keys that several hold.';

-- Where there are tenants, keys need to be unique within a tenant alone: they are compared together with it.
--
-- Keys are compared in buckets of a million, for which every shard reads its keys anew: that bounds the memory, and no
-- array is read. Of a sample, as many buckets are compared, others each time.
CREATE OR REPLACE FUNCTION colbert._duplicate_keys(
  index colbert._index, shards colbert._shard[], documents float8, sample float8)
RETURNS TABLE (problem text, doc_id text, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_duplicate_keys$
DECLARE
  _buckets integer := ceil(greatest(documents / 1e6, 1 / sample, 1));
  _first integer := floor(random() * _buckets);
  _tenant name := colbert._tenant_column(index);
  _key text := CASE WHEN _tenant IS NULL THEN 'k.found #>> ''{}''' ELSE 'k.found ->> 1' END;
  _tenant_of_key text := CASE WHEN _tenant IS NULL THEN 'NULL::text' ELSE 'k.found ->> 0' END;
BEGIN
  FOR i IN 1 .. ceil(_buckets * sample) LOOP
    RETURN QUERY EXECUTE format(
      'SELECT ''duplicate key''::text, min(%1$s), '
      '       concat(''of tenant '' || min(%2$s) || '', '', ''held by '', string_agg(DISTINCT colbert._shard_name(c.shard), '' and ''))'
      '  FROM colbert._call_shards($1, $2, ''keys'', $3) AS c'
      ' CROSS JOIN LATERAL jsonb_array_elements(c.answer) AS k (found)'
      ' GROUP BY (%1$s)::%3$s, %2$s HAVING count(*) > 1 ORDER BY 2, 3',
      _key, _tenant_of_key, (colbert._source_types(index)).key_cast)
      USING index, shards,
            jsonb_build_object('buckets', _buckets, 'bucket', (_first + i) % _buckets)
            || CASE WHEN _tenant IS NULL THEN '{}' ELSE jsonb_build_object('tenant', _tenant) END;
  END LOOP;
END
$_duplicate_keys$;

COMMENT ON FUNCTION colbert._duplicate_keys(colbert._index, colbert._shard[], float8, float8) IS
  'The keys that several shards hold, or one holds twice; of each tenant, where there are tenants.';
