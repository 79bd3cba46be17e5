-- One search of an index that is kept apart by tenant: each part that holds documents which the caller sees is searched by
-- itself, and the best k of all parts are the best of all. What the parts before have found is the least that a document
-- of the next one must score. A caller who sees one tenant reads what belongs to it, and nothing else.
CREATE OR REPLACE FUNCTION colbert._search_tenants(
  index colbert._index, query vector[], key anyelement, k integer, filter text, params jsonb,
  candidates integer, exact boolean, search_path text, least_score float8)
RETURNS TABLE (doc_id anyelement, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
AS $_search_tenants$
DECLARE
  _key_cast text := (colbert._source_types(index)).key_cast;
  _part colbert._index;
  _found record;
  _keys text[] := ARRAY[]::text[];
  _scores float8[] := ARRAY[]::float8[];
BEGIN
  FOR _part IN
    SELECT p.* FROM colbert._parts_to_search(index, filter, params, exact, search_path) AS p
  LOOP
    SELECT array_agg(s.doc_id) AS keys, array_agg(s.score) AS scores
      INTO _found
      FROM colbert._search_documents(_part, query, NULL::text, k, filter, params, candidates, exact, search_path,
                                     CASE WHEN cardinality(_scores) < k THEN least_score
                                          ELSE greatest(least_score, _scores[k]) END) AS s;
    EXECUTE format(
      'SELECT coalesce(array_agg(b.doc_id::text), ''{}''), coalesce(array_agg(b.score), ''{}'') '
      '  FROM (SELECT f.doc_id::%s, f.score FROM unnest($1, $2) AS f (doc_id, score) '
      '         ORDER BY f.score DESC, 1 LIMIT $3) AS b', _key_cast)
       INTO _keys, _scores
      USING _keys || _found.keys, _scores || _found.scores, k;
  END LOOP;
  PERFORM colbert._refuse_ambiguous(index, _keys, filter, params, search_path);
  RETURN QUERY EXECUTE format(
    'SELECT f.doc_id::%s, f.score FROM unnest($1, $2) WITH ORDINALITY AS f (doc_id, score, rank) ORDER BY f.rank',
    colbert._type_name(pg_typeof(key)))
    USING _keys, _scores;
END
$_search_tenants$;

COMMENT ON FUNCTION colbert._search_tenants(colbert._index, vector[], anyelement, integer, text, jsonb, integer, boolean, text, float8) IS
  'The body of a search of an index that is kept apart by tenant.';

CREATE OR REPLACE FUNCTION colbert._parts_to_search(
  index colbert._index, filter text, params jsonb, exact boolean, search_path text)
RETURNS SETOF colbert._index
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_parts_to_search$
BEGIN
  IF exact OR colbert._method_is_exact(index.method) THEN
    RETURN NEXT index;
  ELSE
    RETURN QUERY
      SELECT p.* FROM colbert._parts(index, colbert._visible_tenants(index, filter, params, search_path)) AS p;
  END IF;
END
$_parts_to_search$;

COMMENT ON FUNCTION colbert._parts_to_search(colbert._index, text, jsonb, boolean, text) IS
  'The parts of an index that a search goes through; the index itself where all documents are scored.';
