-- The keys of the documents worth scoring exactly, as text, best first; NULL when an exact pass over the whole
-- scope is the better way: the method has no candidates, or the scope is so small that scoring all of it costs
-- less than finding candidates in it.
--
-- How small that is follows from costs: an exact pass takes about 0.2 ms a document, while an index scan has
-- to pass over documents / matching tokens for each hit, at about 3 µs each. Both cost the same at about
-- sqrt(30 * documents) matching documents.
CREATE OR REPLACE FUNCTION colbert._candidate_keys(
  index colbert._index, query vector[], scope colbert._scope, candidates integer)
RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_candidate_keys$
DECLARE
  _candidates text := colbert._operation(index.method, 'candidates');
  _documents float8 := (SELECT greatest(c.reltuples, 0) FROM pg_class AS c WHERE c.oid = index.source);
  _few bigint := greatest(100, sqrt(30 * _documents));
  _matching bigint;
  _keys text[];
BEGIN
  IF _candidates IS NULL THEN
    RETURN NULL;
  END IF;

  IF scope.restricted THEN
    _matching := colbert._count_matching(scope, _few + 1);
    IF _matching <= _few THEN
      RETURN NULL;
    END IF;
  END IF;

  EXECUTE format('SELECT array_agg(c.doc_id ORDER BY c.rank) '
                 '  FROM %s($1, $2, $3, $4) WITH ORDINALITY AS c (doc_id, rank)', _candidates)
     INTO _keys
    USING index, query, scope, candidates;
  RETURN _keys;
END
$_candidate_keys$;

COMMENT ON FUNCTION colbert._candidate_keys(colbert._index, vector[], colbert._scope, integer) IS
  'The keys of the documents worth scoring; NULL when scoring the whole scope is the better way.';

CREATE OR REPLACE FUNCTION colbert._count_matching(scope colbert._scope, at_most bigint)
RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_count_matching$
DECLARE
  _matching bigint;
BEGIN
  PERFORM set_config('search_path', scope.search_path, true);
  EXECUTE pg_catalog.format(
    'SELECT pg_catalog.count(*) FROM (SELECT FROM %s AS d LIMIT $1) AS m',
    scope.documents)
     INTO _matching
    USING at_most, scope.params;
  RETURN _matching;
END
$_count_matching$;

COMMENT ON FUNCTION colbert._count_matching(colbert._scope, bigint) IS
  'How many documents a search may see, counted no further than at_most.';
