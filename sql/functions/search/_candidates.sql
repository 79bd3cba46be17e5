-- The documents worth scoring exactly: their keys, as text, best first, and the gain of each, which is what the index
-- makes of its score. NULL when an exact pass over the whole scope is the better way: the method has no candidates, or
-- the scope is so small that to score all of it costs less than to find candidates in it.
--
-- How small that is follows from costs. An exact pass takes about 0.2 ms a document. An index scan has to pass over
-- documents / matching tokens for each hit, at about 3 µs each. Both cost the same at about sqrt(30 * documents)
-- matching documents.
CREATE OR REPLACE FUNCTION colbert._candidates(
  index colbert._index, query vector[], scope colbert._scope, effort colbert._effort,
  OUT keys text[], OUT gains float8[])
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_candidates$
DECLARE
  _few bigint;
BEGIN
  IF colbert._method_is_exact(index.method) THEN
    RETURN;
  END IF;
  IF scope.restricted THEN
    _few := greatest(100, sqrt(30 * colbert._estimated_rows(index.source)));
    IF colbert._count_matching(scope, _few + 1) <= _few THEN
      RETURN;
    END IF;
  END IF;

  SELECT array_agg(c.doc_id ORDER BY c.rank), array_agg(c.gain ORDER BY c.rank)
    INTO keys, gains
    FROM colbert._method_candidates(index, query, scope, effort) WITH ORDINALITY AS c (doc_id, gain, rank);
END
$_candidates$;

COMMENT ON FUNCTION colbert._candidates(colbert._index, vector[], colbert._scope, colbert._effort) IS
  'The keys of the documents worth scoring and their gains; NULL when scoring the whole scope is the better way.';
