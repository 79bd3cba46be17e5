-- The documents worth scoring exactly: their keys, as text, best first, and the gain of each, which is what the index
-- makes of its score. NULL when an exact pass over the whole scope is the better way: the method has no candidates for
-- this caller, or the scope is so small that to score all of it costs less than to find candidates in it (_method_few).
CREATE OR REPLACE FUNCTION colbert._candidates(
  index colbert._index, query vector[], scope colbert._scope, effort colbert._effort,
  OUT keys text[], OUT gains float8[])
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_candidates$
DECLARE
  _few bigint;
BEGIN
  IF NOT colbert._method_finds(index) THEN
    RETURN;
  END IF;
  IF scope.restricted THEN
    _few := colbert._method_few(index, query, effort);
    IF colbert._count_matching(scope, _few + 1) <= _few THEN
      RETURN;
    END IF;
  END IF;

  SELECT array_agg(c.doc_id ORDER BY c.rank), array_agg(c.gain ORDER BY c.rank)
    INTO keys, gains
    FROM colbert._method_candidates(index, colbert._scaled_query(query), scope, effort) WITH ORDINALITY AS c (doc_id, gain, rank);
END
$_candidates$;

COMMENT ON FUNCTION colbert._candidates(colbert._index, vector[], colbert._scope, colbert._effort) IS
  'The keys of the documents worth scoring and their gains; NULL when scoring the whole scope is the better way.';

-- The query of which candidates are found: where its tokens weigh other than 1, that whose heaviest token weighs 1, so
-- that no number is too large for halfvec. Gains are compared with each other alone.
CREATE OR REPLACE FUNCTION colbert._scaled_query(query vector[])
RETURNS vector[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_scaled_query$
DECLARE
  _weights float8[] := colbert._query_weights(query);
BEGIN
  RETURN CASE
           WHEN cardinality(_weights) = 0 THEN query
           ELSE ARRAY(SELECT colbert._scaled(colbert._unit(u.token), u.weight / (SELECT max(w) FROM unnest(_weights) AS w))
                        FROM unnest(query[:], _weights) WITH ORDINALITY AS u (token, weight, position)
                       ORDER BY u.position)
         END;
END
$_scaled_query$;

COMMENT ON FUNCTION colbert._scaled_query(vector[]) IS
  'The query with the weights of its tokens in proportion, the largest 1.';
