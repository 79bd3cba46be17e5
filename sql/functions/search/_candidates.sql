-- The documents worth scoring exactly: their keys, as text, best first, and the gain of each, which is what the index
-- makes of its score. NULL when an exact pass over the whole scope is the better way: the method has no candidates for
-- this caller, or the scope is so small that to score all of it costs less than to find candidates in it (_method_few).
--
-- Row-level security mostly leaves a reader all documents of a tenant, or none. So in the part of a tenant it is taken to
-- leave all, unless more than a tenth of the first forty candidates are hidden. (What is hidden is not scored.)
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
  query := colbert._scaled_query(query);
  IF index.part > 0 AND scope.restricted AND NOT scope.filtered THEN
    scope.restricted := false;
    SELECT c.keys, c.gains INTO keys, gains FROM colbert._ranked_candidates(index, query, scope, effort) AS c;
    IF colbert._count_visible(index, scope, keys[:40]) >= 0.9 * cardinality(keys[:40]) THEN
      RETURN;
    END IF;
    scope.restricted := true;
  END IF;
  IF scope.restricted THEN
    _few := colbert._method_few(index, query, effort);
    IF colbert._count_matching(scope, _few + 1) <= _few THEN
      keys := NULL;
      RETURN;
    END IF;
  END IF;
  SELECT c.keys, c.gains INTO keys, gains FROM colbert._ranked_candidates(index, query, scope, effort) AS c;
END
$_candidates$;

COMMENT ON FUNCTION colbert._candidates(colbert._index, vector[], colbert._scope, colbert._effort) IS
  'The keys of the documents worth scoring and their gains; NULL when scoring the whole scope is the better way.';

CREATE OR REPLACE FUNCTION colbert._ranked_candidates(
  index colbert._index, query vector[], scope colbert._scope, effort colbert._effort,
  OUT keys text[], OUT gains float8[])
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_ranked_candidates$
BEGIN
  SELECT array_agg(c.doc_id ORDER BY c.rank), array_agg(c.gain ORDER BY c.rank)
    INTO keys, gains
    FROM colbert._method_candidates(index, query, scope, effort) WITH ORDINALITY AS c (doc_id, gain, rank);
END
$_ranked_candidates$;

COMMENT ON FUNCTION colbert._ranked_candidates(colbert._index, vector[], colbert._scope, colbert._effort) IS
  'The keys of the documents that the method of an index ranks first, and their gains.';

CREATE OR REPLACE FUNCTION colbert._count_visible(index colbert._index, scope colbert._scope, keys text[])
RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_count_visible$
DECLARE
  _statement text := format('SELECT pg_catalog.count(*) FROM %s AS d',
                            colbert._documents_of_keys_sql(scope.documents, (colbert._source_types(index)).key_cast));
  _visible bigint;
BEGIN
  PERFORM set_config('search_path', scope.search_path, true);
  EXECUTE _statement INTO _visible USING NULL::pg_catalog.text, scope.params, keys;
  RETURN _visible;
END
$_count_visible$;

COMMENT ON FUNCTION colbert._count_visible(colbert._index, colbert._scope, text[]) IS
  'How many documents of a list are in a scope.';

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
