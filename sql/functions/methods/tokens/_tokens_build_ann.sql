-- Builds pgvector's index on a token table, and only then drops the one that was there. Searches use the old one until
-- the transaction ends, and wait only for its last moment.
CREATE OR REPLACE FUNCTION colbert._tokens_build_ann(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_build_ann$
DECLARE
  _tokens regclass := colbert._derived_table(index, 'tokens');
  _old regclass[] := colbert._pgvector_indexes(index, 'tokens', ARRAY[index.method]);
  _parameters text;
BEGIN
  SELECT string_agg(format('%s = %s', p.name, p.value), ', ')
    INTO _parameters
    FROM (SELECT o.key AS name, o.value::integer
            FROM jsonb_each_text(index.options) AS o
           WHERE o.key IN ('m', 'ef_construction')
          UNION ALL
          SELECT 'lists', colbert._tokens_lists(index)
           WHERE index.method = 'ivfflat') AS p;

  EXECUTE format('CREATE INDEX ON %s USING %I (embedding %s)%s',
                 _tokens, index.method, (colbert._tokens_layout(index)).operator_class,
                 ' WITH (' || _parameters || ')');
  EXECUTE format('ANALYZE %s', _tokens);
  FOR i IN 1 .. coalesce(cardinality(_old), 0) LOOP
    EXECUTE format('DROP INDEX %s', _old[i]);
  END LOOP;
END
$_tokens_build_ann$;

COMMENT ON FUNCTION colbert._tokens_build_ann(colbert._index) IS
  'Builds pgvector''s index on a token table; drops those that were there, afterwards.';

-- As many lists as pgvector's documentation advises: rows / 1000, or the square root above a million rows.
CREATE OR REPLACE FUNCTION colbert._tokens_lists(index colbert._index)
RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_lists$
DECLARE
  _lists integer := (index.options ->> 'lists')::integer;
  _tokens bigint;
BEGIN
  IF _lists IS NULL THEN
    EXECUTE format('SELECT count(*) FROM %s', colbert._derived_table(index, 'tokens')) INTO _tokens;
    _lists := greatest(1, CASE WHEN _tokens <= 1000000 THEN _tokens / 1000 ELSE sqrt(_tokens) END);
  END IF;
  RETURN _lists;
END
$_tokens_lists$;

COMMENT ON FUNCTION colbert._tokens_lists(colbert._index) IS
  'The number of lists of an ivfflat index: the option, or what pgvector''s documentation advises.';
