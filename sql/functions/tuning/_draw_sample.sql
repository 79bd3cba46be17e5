-- Queries to measure an index with, and what exact search finds for each. They are the caller's, from a column of
-- token-vector arrays in a table or view, or else drawn from the documents: 24 tokens in a row of a document, which is
-- left out of what its query finds. A filter limits the searches and the documents to draw from. milliseconds is the
-- median of the exact searches.
CREATE OR REPLACE FUNCTION colbert._draw_sample(
  index colbert._index, queries regclass, query_column name, size integer, k integer,
  filter text, params jsonb, search_path text,
  OUT sample colbert._sample[], OUT milliseconds float8)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_draw_sample$
DECLARE
  _tokens constant integer := 24;
  _searched record;
  _times float8[];
BEGIN
  PERFORM colbert._refuse_count('k', k),
          colbert._refuse_count('sample', size);
  IF queries IS NULL THEN
    EXECUTE format(
      'SELECT array_agg((colbert._vectors(d.embeddings[d.first : d.first + $1 - 1]), d.doc_id, NULL)::colbert._sample) '
      '  FROM (SELECT s.doc_id::text, s.embeddings, '
      '               1 + floor(random() * greatest(1, cardinality(s.embeddings) - $1 + 1))::integer AS first '
      '          FROM %s AS s) AS d',
      colbert._documents_of_keys_sql(colbert._documents_sql(index), (colbert._source_types(index)).key_cast))
       INTO sample
      USING _tokens, NULL::jsonb, colbert._draw_keys(colbert._scope(index, filter, params, search_path), size);
  ELSE
    EXECUTE format(
      'SELECT array_agg((q.query, NULL, NULL)::colbert._sample) '
      '  FROM (SELECT colbert._vectors(s.%I) AS query FROM %s AS s WHERE cardinality(s.%1$I) > 0 ORDER BY random() LIMIT $1) AS q',
      colbert._query_column(queries, query_column), queries)
       INTO sample
      USING size;
  END IF;
  IF sample IS NULL THEN
    RAISE EXCEPTION 'there are no queries to measure with'
      USING ERRCODE = 'no_data_found',
            HINT = 'Store some, or store documents, from which queries can be drawn.';
  END IF;

  FOR _i IN 1 .. cardinality(sample) LOOP
    _searched := colbert._timed_search(index, sample[_i], k, NULL, true, filter, params, search_path);
    sample[_i].best := _searched.scores;
    _times := _times || _searched.milliseconds;
  END LOOP;
  milliseconds := (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t) FROM unnest(_times) AS t);
END
$_draw_sample$;

COMMENT ON FUNCTION colbert._draw_sample(colbert._index, regclass, name, integer, integer, text, jsonb, text) IS
  'Queries to measure an index with, what exact search finds for each, and its median milliseconds.';

CREATE OR REPLACE FUNCTION colbert._draw_keys(scope colbert._scope, size integer)
RETURNS text[]
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_draw_keys$
DECLARE
  _keys text[];
BEGIN
  PERFORM set_config('search_path', scope.search_path, true);
  EXECUTE pg_catalog.format(
    'SELECT pg_catalog.array_agg(k.doc_id) '
    '  FROM (SELECT d.doc_id::pg_catalog.text FROM %s AS d ORDER BY pg_catalog.random() LIMIT $1) AS k',
    scope.documents)
     INTO _keys
    USING size, scope.params;
  RETURN _keys;
END
$_draw_keys$;

COMMENT ON FUNCTION colbert._draw_keys(colbert._scope, integer) IS
  'The keys, as text, of some documents that a search may see, drawn at random.';

-- The column of queries: the one that is named, or the only array of vectors that the table or view has.
CREATE OR REPLACE FUNCTION colbert._query_column(queries regclass, named name)
RETURNS name
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_query_column$
DECLARE
  _columns name[] := ARRAY(
    SELECT a.attname FROM pg_attribute AS a
     WHERE a.attrelid = queries
       AND colbert._element_type(queries, a.attname) IS NOT NULL
       AND a.attname = coalesce(named, a.attname));
BEGIN
  IF cardinality(_columns) <> 1 THEN
    RAISE EXCEPTION '"%" has % columns of token vectors%', queries, cardinality(_columns),
                    CASE WHEN named IS NULL THEN '' ELSE format(' named "%s"', named) END
      USING ERRCODE = CASE WHEN named IS NULL THEN 'ambiguous_column' ELSE 'undefined_column' END,
            HINT = 'Name the column of queries: query_column => ''column''.';
  END IF;
  RETURN _columns[1];
END
$_query_column$;

COMMENT ON FUNCTION colbert._query_column(regclass, name) IS
  'The column of token-vector arrays that a table or view of queries has.';
