-- One search for parents. Chunks that rank high name the parents worth scoring, and then all chunks of these are
-- scored. key has the type in which keys of parents are returned. Where that is bigint, so are those of chunks.
CREATE OR REPLACE FUNCTION colbert._search_parents(
  source regclass, query vector[], parent name, key anyelement, k integer, filter text, params jsonb,
  candidates integer, exact boolean, embeddings name, search_path text, min_score float8 DEFAULT NULL)
RETURNS TABLE (parent_id anyelement, score float8, doc_id text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
SET jit = off
SET min_parallel_table_scan_size = '8MB'
SET parallel_setup_cost = 1000
SET parallel_tuple_cost = 0.1
SET work_mem = '32MB'
AS $_search_parents$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _types record := colbert._source_types(_index);
  _scope colbert._scope := colbert._scope(_index, filter, params, search_path);
  _documents text := _scope.documents;
  _chunks text[];
  _least_score float8;
  _parallel boolean := false;
  _statement text;
BEGIN
  PERFORM colbert._refuse_search(_index, query, k, key),
          colbert._refuse_parent(_index.source, parent, pg_typeof(key));
  _least_score := colbert._least_score(_index, query, min_score);
  IF pg_typeof(key) = 'bigint'::regtype THEN
    PERFORM colbert._refuse_key_type(_index.source, _types.key_base, 'bigint');
  END IF;

  IF exact OR colbert._method_is_exact(_index.method) THEN
    _parallel := colbert._begin_pass(_index, query, _scope);
    PERFORM colbert._refuse_ambiguous(_index, NULL, filter, params, search_path);
  ELSE
    _chunks := colbert._chunks_of_parents(_index, query, parent, k, filter, params, candidates, search_path,
                                           min_score);
    _documents := colbert._documents_of_keys_sql(_documents, _types.key_cast);
    PERFORM colbert._refuse_ambiguous(_index, coalesce(_chunks, '{}'), filter, params, search_path);
  END IF;

  _statement := format(
    'SELECT b.parent::%1$s, b.score, b.doc_id'
    '  FROM (SELECT DISTINCT ON (c.%2$I) c.%2$I AS parent, r.score, r.doc_id::pg_catalog.text'
    '          FROM (%3$s) AS r'
    '          JOIN %4$s AS c ON c.%5$I OPERATOR(pg_catalog.=) r.doc_id'
    '         WHERE c.%2$I IS NOT NULL'
    '         ORDER BY c.%2$I, r.score DESC, r.doc_id) AS b%6$s'
    ' ORDER BY b.score DESC, b.parent LIMIT $4',
    colbert._type_name(pg_typeof(key)), parent,
    colbert._scoring_sql(query, _types.element, _documents, _parallel),
    _index.source, _index.key, CASE WHEN _least_score IS NOT NULL THEN ' WHERE b.score >= $5' END);
  PERFORM set_config('search_path', _scope.search_path, true);
  RETURN QUERY EXECUTE _statement USING query[:], params, _chunks, k, _least_score;
END
$_search_parents$;

COMMENT ON FUNCTION colbert._search_parents(regclass, vector[], name, anyelement, integer, text, jsonb, integer, boolean, name, text, float8) IS
  'The body of all forms of search_parents; search_path is the caller''s.';

-- The keys, as text, of all chunks of the parents worth scoring: twice as many parents as are asked for. The search for
-- chunks grows until it has found k parents, or has returned all there is, or all that reaches min_score.
CREATE OR REPLACE FUNCTION colbert._chunks_of_parents(
  index colbert._index, query vector[], parent name, k integer, filter text, params jsonb,
  candidates integer, search_path text, min_score float8)
RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_chunks_of_parents$
DECLARE
  _key_cast text := (colbert._source_types(index)).key_cast;
  _wanted integer := colbert._to_count(4 * k::bigint);
  _found text[];
  _parents text[];
  _chunks text[];
BEGIN
  LOOP
    SELECT array_agg(s.doc_id ORDER BY s.rank)
      INTO _found
      FROM colbert._search(index.source, query, NULL::text, _wanted, filter, params, candidates, false,
                           index.embeddings, search_path, min_score) WITH ORDINALITY AS s (doc_id, score, rank);
    EXECUTE format(
      'SELECT array_agg(p.parent)'
      '  FROM (SELECT c.%1$I::pg_catalog.text AS parent'
      '          FROM unnest($1::%2$s[]) WITH ORDINALITY AS f (doc_id, place)'
      '          JOIN %3$s AS c ON c.%4$I = f.doc_id'
      '         WHERE c.%1$I IS NOT NULL'
      '         GROUP BY c.%1$I'
      '         ORDER BY min(f.place)'
      '         LIMIT 2 * $2::bigint) AS p',
      parent, _key_cast, index.source, index.key)
       INTO _parents
      USING _found, k;
    EXIT WHEN cardinality(_parents) >= k
           OR coalesce(cardinality(_found), 0) < _wanted
           OR _wanted = colbert._largest_count();
    _wanted := colbert._to_count(4 * _wanted::bigint);
  END LOOP;

  EXECUTE format('SELECT array_agg(c.%I::pg_catalog.text) FROM %s AS c WHERE c.%I = ANY ($1::%s[])',
                 index.key, index.source, parent, colbert._parent_type(index.source, parent))
     INTO _chunks
    USING _parents;
  RETURN _chunks;
END
$_chunks_of_parents$;

COMMENT ON FUNCTION colbert._chunks_of_parents(colbert._index, vector[], name, integer, text, jsonb, integer, text, float8) IS
  'The keys of all chunks of the parents that a search for chunks finds.';

CREATE OR REPLACE FUNCTION colbert._parent_type(source regclass, parent name)
RETURNS regtype
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT colbert._base_type(a.atttypid)
    FROM pg_catalog.pg_attribute AS a
   WHERE a.attrelid = source AND a.attname = parent AND NOT a.attisdropped;
END;

COMMENT ON FUNCTION colbert._parent_type(regclass, name) IS
  'The type of a column, without domains; NULL when there is no such column.';

CREATE OR REPLACE FUNCTION colbert._refuse_parent(source regclass, parent name, given regtype)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_parent$
DECLARE
  _type regtype := colbert._parent_type(source, parent);
BEGIN
  IF _type IS NULL THEN
    RAISE EXCEPTION 'parent column % of table "%" does not exist', coalesce('"' || parent || '"', 'NULL'), source
      USING ERRCODE = 'undefined_column',
            HINT = 'Name the column that says which document a chunk belongs to: parent => ''document_id''.';
  END IF;
  PERFORM colbert._refuse_key_type(source, _type, given);
END
$_refuse_parent$;

COMMENT ON FUNCTION colbert._refuse_parent(regclass, name, regtype) IS
  'Raises unless the column of parents is there, and of the type in which parents are returned.';
