-- MaxSim: the best document token of every query token, by inner product, summed over the query.
--
--   score(Q, D) = sum over query tokens q of max over document tokens d of <q, d>
--
-- Khattab and Zaharia, ColBERT (2020), https://arxiv.org/abs/2004.12832. An empty document scores 0. A NULL argument
-- gives NULL. Refused: an empty query, NULL elements, arrays of more than one dimension, and vectors of different
-- dimensions (by pgvector).
--
-- The document is unnested once for sixteen query tokens, and each of them has a min() of its own. That is about three
-- times as fast as a cross join of two unnests (benchmarks/). A slot past the end of the query is NULL and costs next
-- to nothing. Scores are summed in groups of sixteen, as colbert._scoring_sql sums them, so that both give the same
-- bits.
CREATE OR REPLACE FUNCTION colbert._maxsim(query anyarray, document anyarray)
RETURNS float8
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000
SET search_path = pg_catalog, pg_temp
AS $_maxsim$
DECLARE
  _score float8 := 0;
BEGIN
  IF array_ndims(query) IS DISTINCT FROM 1 OR array_ndims(document) > 1
     OR array_position(query, NULL) IS NOT NULL OR array_position(document, NULL) IS NOT NULL THEN
    PERFORM colbert._refuse_malformed(query, 'query'),
            colbert._refuse_malformed(document, 'document');
  END IF;
  FOR _first IN array_lower(query, 1) .. array_upper(query, 1) BY 16 LOOP
    _score := _score - (
      SELECT coalesce(min(colbert._negative_inner_product(d.token, q.q0)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q1)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q2)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q3)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q4)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q5)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q6)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q7)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q8)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q9)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q10)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q11)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q12)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q13)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q14)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q15)), 0)
        FROM (SELECT query[_first + 0] AS q0, query[_first + 1] AS q1, query[_first + 2] AS q2,
                     query[_first + 3] AS q3, query[_first + 4] AS q4, query[_first + 5] AS q5,
                     query[_first + 6] AS q6, query[_first + 7] AS q7, query[_first + 8] AS q8,
                     query[_first + 9] AS q9, query[_first + 10] AS q10, query[_first + 11] AS q11,
                     query[_first + 12] AS q12, query[_first + 13] AS q13,
                     query[_first + 14] AS q14, query[_first + 15] AS q15
              OFFSET 0) AS q,
             LATERAL (SELECT unnest(document) AS token) AS d);
  END LOOP;
  RETURN _score;
END
$_maxsim$;

COMMENT ON FUNCTION colbert._maxsim(anyarray, anyarray) IS
  'MaxSim for arrays of vector and of halfvec: the body of both forms of maxsim.';

-- The same for bits, as pgvector's examples define it: the similarity of two tokens is the share of their bits that are
-- the same, 1 - hamming distance / bits.
CREATE OR REPLACE FUNCTION colbert._maxsim(query bit[], document bit[])
RETURNS float8
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000
SET search_path = pg_catalog, pg_temp
AS $_maxsim$
DECLARE
  _score float8 := 0;
  _bits float8 := nullif(length(query[array_lower(query, 1)]), 0);
BEGIN
  IF array_ndims(query) IS DISTINCT FROM 1 OR array_ndims(document) > 1
     OR array_position(query, NULL) IS NOT NULL OR array_position(document, NULL) IS NOT NULL THEN
    PERFORM colbert._refuse_malformed(query, 'query'),
            colbert._refuse_malformed(document, 'document');
  END IF;
  FOR _first IN array_lower(query, 1) .. array_upper(query, 1) BY 16 LOOP
    _score := _score + (
      SELECT coalesce(1 - min(colbert._hamming_distance(d.token, q.q0)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q1)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q2)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q3)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q4)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q5)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q6)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q7)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q8)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q9)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q10)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q11)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q12)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q13)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q14)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q15)) / _bits, 0)
        FROM (SELECT query[_first + 0] AS q0, query[_first + 1] AS q1, query[_first + 2] AS q2,
                     query[_first + 3] AS q3, query[_first + 4] AS q4, query[_first + 5] AS q5,
                     query[_first + 6] AS q6, query[_first + 7] AS q7, query[_first + 8] AS q8,
                     query[_first + 9] AS q9, query[_first + 10] AS q10, query[_first + 11] AS q11,
                     query[_first + 12] AS q12, query[_first + 13] AS q13,
                     query[_first + 14] AS q14, query[_first + 15] AS q15
              OFFSET 0) AS q,
             LATERAL (SELECT unnest(document) AS token) AS d);
  END LOOP;
  RETURN _score;
END
$_maxsim$;

COMMENT ON FUNCTION colbert._maxsim(bit[], bit[]) IS
  'MaxSim for arrays of bits: the body of that form of maxsim.';
