-- One search, from the query to its rows. An index over shards hands it on to them (_search_shards), and one that is kept
-- apart by tenant searches part by part (_search_tenants).
--
-- The function is STABLE, so that a search sees one snapshot. It reads only. key has the type in which keys are
-- returned. Ties follow the key's own type.
CREATE OR REPLACE FUNCTION colbert._search(
  source regclass, query vector[], key anyelement, k integer, filter text, params jsonb,
  candidates integer, exact boolean, embeddings name, search_path text,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (doc_id anyelement, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
AS $_search$
DECLARE
  _index colbert._index := colbert._find_any_index(source, embeddings);
  _least_score float8;
BEGIN
  PERFORM colbert._refuse_search(_index, query, k, key),
          colbert._refuse_key_type(_index.source, (colbert._source_types(_index)).key_base, pg_typeof(key));
  _least_score := colbert._least_score(_index, query, min_score);
  IF _index.method = 'shards' THEN
    RETURN QUERY
      SELECT s.doc_id, s.score
        FROM colbert._search_shards(_index, query, key, k, filter, params, candidates, exact,
                                    search_path, min_score) AS s;
    RETURN;
  END IF;

  -- TRUNCATE and drop_index lock the source first, then the derived tables. In another order they and a search could
  -- wait for each other.
  EXECUTE format('SELECT FROM %s LIMIT 0', _index.source);
  IF colbert._tenant_column(_index) IS NULL THEN
    RETURN QUERY
      SELECT s.doc_id, s.score
        FROM colbert._search_documents(_index, query, key, k, filter, params, candidates, exact,
                                       search_path, _least_score) AS s;
  ELSE
    RETURN QUERY
      SELECT s.doc_id, s.score
        FROM colbert._search_tenants(_index, query, key, k, filter, params, candidates, exact,
                                     search_path, _least_score) AS s;
  END IF;
END
$_search$;

COMMENT ON FUNCTION colbert._search(regclass, vector[], anyelement, integer, text, jsonb, integer, boolean, name, text, float8) IS
  'The body of all forms of search; search_path is the caller''s.';

-- One search of the documents of an index, or of a part of it:
--
--   1. the scope: the documents that the filter and row-level security leave           (_scope)
--   2. candidates: the method of the index names the documents worth scoring, in order (_candidates)
--   3. scores: the exact MaxSim of the candidates, from the arrays, until going on      (_score_candidates)
--      is not worth it
--
-- Without candidates, or with fewer than k of them, all of the scope is scored: an index makes a search faster, never
-- shorter. That pass runs in parallel workers where they are worth starting (_begin_pass). Its settings hold
-- for that pass alone: with them, the planner starts workers for every look at the catalog, which takes ten times as long
-- as the rest of a search.
--
-- What scores less than least_score is left out at the very end, when there may be fewer than k.
CREATE OR REPLACE FUNCTION colbert._search_documents(
  index colbert._index, query vector[], key anyelement, k integer, filter text, params jsonb,
  candidates integer, exact boolean, search_path text, least_score float8)
RETURNS TABLE (doc_id anyelement, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
SET jit = off
SET min_parallel_table_scan_size = '8MB'
SET parallel_setup_cost = 1000
SET parallel_tuple_cost = 0.1
SET work_mem = '32MB'
AS $_search_documents$
DECLARE
  _types record := colbert._source_types(index);
  _scope colbert._scope := colbert._scope(index, filter, params, search_path);
  _effort colbert._effort;
  _found record;
  _keys text[];
  _scores float8[];
  _statement text;
BEGIN
  IF exact IS NOT TRUE THEN
    _effort := colbert._effort(index, _scope, cardinality(query), k, candidates);
    _found := colbert._candidates(index, query, _scope, _effort);
    IF cardinality(_found.keys) >= k THEN
      SELECT array_agg(s.doc_id), array_agg(s.score)
        INTO _keys, _scores
        FROM colbert._score_candidates(index, query, _scope, _found.keys, _found.gains, _effort,
                                       least_score) AS s;
    END IF;
  END IF;

  IF cardinality(_scores) >= _effort.k THEN
    RETURN QUERY EXECUTE format(
      'SELECT s.doc_id::%s, s.score FROM unnest($1::%s[], $2) AS s (doc_id, score) '
      ' WHERE $4 IS NULL OR s.score >= $4 ORDER BY s.score DESC, s.doc_id LIMIT $3',
      colbert._type_name(pg_typeof(key)), _types.key_cast)
      USING _keys, _scores, k, least_score;
  ELSE
    _statement := format(
      'SELECT r.doc_id::%s, r.score FROM (%s) AS r%s ORDER BY r.score DESC, r.doc_id LIMIT $3',
      colbert._type_name(pg_typeof(key)),
      colbert._scoring_sql(query, _types.element, _scope.documents, colbert._begin_pass(index, query, _scope)),
      CASE WHEN least_score IS NOT NULL THEN ' WHERE r.score >= $4' END);
    PERFORM set_config('search_path', _scope.search_path, true);
    RETURN QUERY EXECUTE _statement USING query[:], params, k, least_score;
  END IF;
END
$_search_documents$;

COMMENT ON FUNCTION colbert._search_documents(colbert._index, vector[], anyelement, integer, text, jsonb, integer, boolean, text, float8) IS
  'The best documents of an index, or of a part of it, by their exact scores.';
