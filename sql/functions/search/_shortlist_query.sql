-- The tsquery for the documents that are worth ranking among those that hold any of some lexemes: a document is on the
-- shortlist when the weights of the lexemes that it holds add up to a bound. The bound is as low as it can be while
-- about so many documents reach it. Written as a tsquery that is "holds one of these sets of lexemes", of the smallest
-- sets that reach the bound. Few documents do, and PostgreSQL's GIN index finds them without coming to all the others.
-- It walks along the rarest lexemes and skips through the rest. That is what WAND does (Broder et al. 2003), with a
-- bound that is chosen before.
--
--   matches    how many documents the shortlist should have, about. Lexemes count as independent of each other. In
--              texts they are not: two to ten times as many come.
--   steps      how many documents the index may come to. Each set has one of the rarest lexemes, which together have so
--              many documents.
--
-- At most six lexemes take part, the rarest: sets are many, and the index tries them all on each document that it comes
-- to. With eight lexemes a search of a million documents took up to six times as long and found no more.
--
-- NULL where a shortlist would be no shorter than what holds any of the lexemes.
CREATE OR REPLACE FUNCTION colbert._shortlist_query(
  lexemes tsquery[], weights float8[], counts float8[], documents float8, matches float8, steps float8)
RETURNS tsquery
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_shortlist_query$
DECLARE
  _lexemes text[];
  _weights float8[];
  _counts float8[];
  _walked integer;  -- how many of them, the rarest first, the index may walk along
  _all integer;
  _bits integer[] := ARRAY[1, 2, 4, 8, 16, 32];
  _weight float8[] := ARRAY[]::float8[];  -- of each set: what its lexemes weigh in all
  _rest float8[] := ARRAY[]::float8[];    -- and without the last, which weighs least
  _likely float8[] := ARRAY[]::float8[];  -- how many documents hold it
  _candidate float8;
  _bound float8;
  _sum float8;
  _alternatives text[] := ARRAY[]::text[];
  _others text[];
  _alone integer := 0;
BEGIN
  SELECT array_agg(f.lexeme::text ORDER BY f.place), array_agg(f.weight ORDER BY f.place),
         array_agg(f.count ORDER BY f.place),
         greatest(1, count(*) FILTER (WHERE f.sum <= steps AND f.place <= 6)), count(*)
    INTO _lexemes, _weights, _counts, _walked, _all
    FROM (SELECT l.lexeme, l.weight, l.count, row_number() OVER by_rarity AS place, sum(l.count) OVER by_rarity AS sum
            FROM unnest(lexemes, weights, counts) WITH ORDINALITY AS l (lexeme, weight, count, position)
           WHERE l.count > 0
          WINDOW by_rarity AS (ORDER BY l.count, l.position)) AS f;
  IF _all IS NULL OR _all < 2 THEN
    RETURN NULL;
  END IF;

  -- A set is a number whose bits are its lexemes.
  FOR _set IN 1 .. (1 << least(6, _all)) - 1 LOOP
    _weight[_set] := 0;
    _rest[_set] := 0;
    _likely[_set] := documents;
    FOR _place IN 1 .. least(6, _all) LOOP
      IF _set & _bits[_place] > 0 THEN
        _rest[_set] := _weight[_set];
        _weight[_set] := _weight[_set] + _weights[_place];
        _likely[_set] := _likely[_set] * _counts[_place] / documents;
      END IF;
    END LOOP;
    IF _set & ((1 << _walked) - 1) = 0 THEN
      _weight[_set] := NULL;
    END IF;
  END LOOP;

  FOREACH _candidate IN ARRAY ARRAY(SELECT w FROM unnest(_weight) AS w WHERE w IS NOT NULL ORDER BY w DESC) LOOP
    _sum := 0;
    FOR _set IN 1 .. cardinality(_weight) LOOP
      IF _weight[_set] >= _candidate AND _rest[_set] < _candidate THEN
        _sum := _sum + _likely[_set];
      END IF;
    END LOOP;
    EXIT WHEN _bound IS NOT NULL AND _sum > matches;
    _bound := _candidate;
  END LOOP;

  FOR _first IN 1 .. _walked LOOP
    _others := ARRAY[]::text[];
    FOR _set IN 1 .. cardinality(_weight) LOOP
      IF _set & ((1 << _first) - 1) = _bits[_first] AND _weight[_set] >= _bound AND _rest[_set] < _bound THEN
        _others := _others || (SELECT string_agg(_lexemes[p], ' & ' ORDER BY p)
                                 FROM generate_series(_first + 1, least(6, _all)) AS p
                                WHERE _set & _bits[p] > 0);
      END IF;
    END LOOP;
    IF array_position(_others, NULL) > 0 THEN  -- it is a set by itself
      _alone := _alone + 1;
      _alternatives := _alternatives || _lexemes[_first];
    ELSIF cardinality(_others) > 0 THEN
      _alternatives := _alternatives || format('%s & (%s)', _lexemes[_first], array_to_string(_others, ' | '));
    END IF;
  END LOOP;
  RETURN CASE WHEN _alone < _all THEN array_to_string(_alternatives, ' | ')::tsquery END;
END
$_shortlist_query$;

COMMENT ON FUNCTION colbert._shortlist_query(tsquery[], float8[], float8[], float8, float8, float8) IS
  'A tsquery for about so many documents, those that hold the most, by weight, of some lexemes; NULL where all of them would be as few.';
