-- The exact scores of candidates, one by one in their order, until going on is not worth it. One plan for all of them:
-- a cursor stops where a statement for each would be planned anew.
--
-- The index knows a document's score only roughly: as its gain. A line through the gains and scores so far tells what
-- score to expect of the next candidate, and how far scores lie from that line, how sure that is. The search stops when
-- the next candidate would have to be margin standard deviations better than expected to be among the best k. That is
-- asked after every ten documents, and not before k + 20, when there are enough to judge by. Candidates come best first,
-- so all behind the next one are less likely still. (Residual standard deviation of a simple regression, with n - 2
-- degrees of freedom.)
--
-- Documents that score less than least_score are not wanted, so that the search also stops when the next candidate is
-- unlikely to reach that.
--
-- With a patience, the search stops when so many documents in a row did not get among the best k.
--
-- Candidates that are not in the scope (an index that is not in step may name documents that are gone) are passed over.
CREATE OR REPLACE FUNCTION colbert._score_candidates(
  index colbert._index, query vector[], scope colbert._scope, keys text[], gains float8[], effort colbert._effort,
  least_score float8)
RETURNS TABLE (doc_id text, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
AS $_score_candidates$
DECLARE
  _types record := colbert._source_types(index);
  _statement text := colbert._scoring_sql(
    query, _types.element, colbert._documents_in_order_sql(scope.documents, _types.key_cast), false)
    || ' ORDER BY s.doc_id';
  _k constant integer := effort.k;
  _patience constant integer := effort.patience;
  _margin constant float8 := effort.margin;
  _scored refcursor;
  _rank integer;
  _best float8[] := ARRAY[]::float8[];  -- the best k scores so far, lowest first
  _place integer;
  _count integer := 0;
  _in_vain integer := 0;
  -- Sums for the line: of gains, scores, their squares and their product.
  _gain float8;
  _g float8 := 0;
  _s float8 := 0;
  _gg float8 := 0;
  _ss float8 := 0;
  _gs float8 := 0;
BEGIN
  -- From here on names and polymorphic operators are looked up where the caller looks: what is polymorphic names its schema.
  PERFORM set_config('search_path', scope.search_path, true);
  OPEN _scored FOR EXECUTE _statement USING query[:], scope.params, keys;
  LOOP
    FETCH _scored INTO _rank, score;
    EXIT WHEN NOT FOUND;
    doc_id := keys[_rank];
    RETURN NEXT;

    _place := pg_catalog.width_bucket(score, _best);
    IF _count < _k THEN
      _best := pg_catalog.array_cat(pg_catalog.array_append(_best[:_place], score), _best[_place + 1:]);
    ELSIF _place > 0 THEN
      _best := pg_catalog.array_cat(pg_catalog.array_append(_best[2:_place], score), _best[_place + 1:]);
      _in_vain := 0;
    ELSE
      _in_vain := _in_vain + 1;
      EXIT WHEN _in_vain >= _patience;
    END IF;

    _count := _count + 1;
    _gain := gains[_rank];
    _g := _g + _gain;
    _s := _s + score;
    _gg := _gg + _gain * _gain;
    _ss := _ss + score * score;
    _gs := _gs + _gain * score;
    EXIT WHEN _count >= _k + 20 AND _count % 10 = 0
          AND colbert._highest_expected(_count, _g, _s, _gg, _ss, _gs, gains[_rank + 1], _margin)
              < greatest(_best[1], least_score);
  END LOOP;
  CLOSE _scored;
END
$_score_candidates$;

COMMENT ON FUNCTION colbert._score_candidates(colbert._index, vector[], colbert._scope, text[], float8[], colbert._effort, float8) IS
  'The exact scores of candidates, in their order, until the next one is unlikely to be among the best.';

-- The score that a document of this gain reaches at the highest, by a line through count gains and scores, of which the
-- sums are given, and with margin standard deviations for what the line does not explain.
CREATE OR REPLACE FUNCTION colbert._highest_expected(
  count integer, gains float8, scores float8, gains_squared float8, scores_squared float8, products float8,
  gain float8, margin float8)
RETURNS float8
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_highest_expected$
DECLARE
  _sxx float8 := gains_squared - gains * gains / count;
  _syy float8 := scores_squared - scores * scores / count;
  _sxy float8 := products - gains * scores / count;
  _slope float8 := CASE WHEN _sxx > 0 AND _sxy > 0 THEN _sxy / _sxx ELSE 0 END;
BEGIN
  RETURN (scores + _slope * (gain * count - gains)) / count
         + margin * sqrt(greatest(0, _syy - _slope * _sxy) / (count - 2));
END
$_highest_expected$;

COMMENT ON FUNCTION colbert._highest_expected(integer, float8, float8, float8, float8, float8, float8, float8) IS
  'The score that a document of a gain reaches at the highest, judged by a line through the gains and scores of others.';

-- SQL for the documents of a relation (doc_id, embeddings) whose keys are in $3, an array of text: doc_id is their place
-- in it. The order of an array that is unnested WITH ORDINALITY is known to the planner, which need not sort.
CREATE OR REPLACE FUNCTION colbert._documents_in_order_sql(documents text, key_cast text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN format('(SELECT c.rank AS doc_id, d.embeddings'
              '   FROM pg_catalog.unnest($3::%s[]) WITH ORDINALITY AS c (key, rank)'
              '   JOIN %s AS d ON d.doc_id OPERATOR(pg_catalog.=) c.key)',
              key_cast, documents);

COMMENT ON FUNCTION colbert._documents_in_order_sql(text, text) IS
  'SQL for the documents of a relation whose keys are in $3, an array of text, by their place in it.';
