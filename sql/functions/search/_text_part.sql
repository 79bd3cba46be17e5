-- The full-text part of hybrid search: the documents whose text answers some words best, best first, at most so many.
-- It goes one of two ways:
--
--   all of them    every document that matches is read and ranked (_text_search). For small tables and few matches, for
--                  match 'websearch', for exact searches, without an index on the text, and under row-level security,
--                  where counts may only be of what the caller sees.
--   a shortlist    of the documents that hold any of the words, those are read that hold the most of them, by weight
--                  (_shortlist). What it costs hardly grows with the table.
CREATE OR REPLACE FUNCTION colbert._text_part(
  index colbert._index, words text, key anyelement, content text, language regconfig, match text,
  filter text, params jsonb, search_path text, candidates integer, exact boolean)
RETURNS TABLE (doc_id anyelement, rank integer, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $_text_part$
BEGIN
  IF match = 'any' AND exact IS NOT TRUE
     AND colbert._estimated_rows(index.source) >= 1000
     AND NOT row_security_active(index.source) THEN
    RETURN QUERY SELECT s.doc_id, s.rank, s.score
                   FROM colbert._shortlist(index, words, key, content, language, filter, params, search_path,
                                           candidates) AS s;
    IF FOUND THEN
      RETURN;
    END IF;
  END IF;
  RETURN QUERY SELECT t.doc_id, t.rank, t.score
                 FROM colbert._text_search(index, words, key, content, language, match, filter, params, search_path,
                                           candidates) AS t;
END
$_text_part$;

COMMENT ON FUNCTION colbert._text_part(colbert._index, text, anyelement, text, regconfig, text, text, jsonb, text, integer, boolean) IS
  'The documents whose text answers some words best, with their ranks and scores: the body of hybrid_search for its words.';

-- The best of a shortlist, with the scores of _text_search: ts_rank of each lexeme times its weight. Only the counts
-- that the weights are made of are estimates (_word_counts). There are no rows where all that match should be read:
-- when they are few, when no index finds them, and when the shortlist has turned out too short.
--
-- The list is to have five times as many documents as are wanted, which count as a hundred at least, and the index may
-- come to 100 * sqrt(documents) of them. SET colbert.effort = 2 doubles both. On a million documents made of SciFact's
-- that takes 48 ms of processor time and finds .93 of the true ten best (benchmarks/results/hybrid_scaling.txt).
--
-- How many come is only known when they have come. Too few, and the next list is eight times as long. Twenty times as
-- many, and it is an eighth.
CREATE OR REPLACE FUNCTION colbert._shortlist(
  index colbert._index, words text, key anyelement, content text, language regconfig,
  filter text, params jsonb, search_path text, candidates integer)
RETURNS TABLE (doc_id anyelement, rank integer, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
AS $_shortlist$
DECLARE
  _document text := colbert._tsvector_sql(index, content, language, search_path);
  _lexemes tsquery[] := ARRAY(
    SELECT colbert._lexeme_query(l) FROM unnest(tsvector_to_array(to_tsvector(language, words))) AS l);
  _wanted float8 := colbert._factor('effort', index.options, 1) * greatest(100, candidates);
  _most constant float8 := 100 * _wanted;
  _matches float8 := 5 * _wanted;
  _steps float8;  -- for each of these matches
  _counts record;
  _weights float8[];
  _query tsquery;
  _grown boolean := false;
  _found record;
  _best record;
BEGIN
  IF cardinality(_lexemes) < 2 THEN
    RETURN;
  END IF;
  _counts := colbert._word_counts(index, _document, _lexemes, filter, params, search_path);
  IF _counts.counts IS NULL OR (SELECT sum(c) FROM unnest(_counts.counts) AS c) <= 2 * _matches THEN
    RETURN;
  END IF;
  _steps := 20 * sqrt(_counts.documents) / greatest(100, candidates);
  _weights := colbert._word_weights(_counts.documents, _counts.counts);
  LOOP
    _query := colbert._shortlist_query(
      _lexemes, _weights, _counts.counts, _counts.documents, _matches, _steps * _matches);
    EXIT WHEN _query IS NULL;
    _found := colbert._rank_shortlist(index, _document, filter, params, search_path, _query, _lexemes, _weights,
                                      candidates, _most);
    IF _found.overflows AND NOT _grown AND _best IS NULL THEN
      _best := _found;
      _matches := _matches / 8;
    ELSIF cardinality(_found.keys) >= candidates THEN
      _best := _found;
      EXIT;
    ELSE
      EXIT WHEN _best IS NOT NULL OR _matches > _most;
      _grown := true;
      _matches := 8 * _matches;
    END IF;
  END LOOP;
  IF _best IS NOT NULL THEN
    RETURN QUERY EXECUTE format(
      'SELECT f.key::%s, (row_number() OVER (ORDER BY f.score DESC, f.key::%2$s))::integer, f.score '
      '  FROM unnest($1, $2) AS f (key, score) ORDER BY 2',
      colbert._type_name(pg_typeof(key)), (colbert._source_types(index)).key_cast)
      USING _best.keys, _best.scores;
  END IF;
END
$_shortlist$;

COMMENT ON FUNCTION colbert._shortlist(colbert._index, text, anyelement, text, regconfig, text, jsonb, text, integer) IS
  'The best of the documents that hold the most of some words, by weight, with their ranks and scores; none where all that match should be read.';

-- BM25's weight of each lexeme: ln(1 + (N - n + 0.5) / (n + 0.5)), where n of the N documents that hold any of the
-- lexemes hold it. N is what it were if no lexeme said anything of another.
CREATE OR REPLACE FUNCTION colbert._word_weights(documents float8, counts float8[])
RETURNS float8[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  WITH any_of_them AS (
    SELECT greatest(max(c.count), documents * (1 - exp(sum(ln(1 - least(0.999999, c.count / documents)))))) AS documents
      FROM unnest(counts) AS c (count)
  )
  SELECT array_agg(ln(1 + (a.documents - c.count + 0.5) / (c.count + 0.5)) ORDER BY c.position)
    FROM unnest(counts) WITH ORDINALITY AS c (count, position)
   CROSS JOIN any_of_them AS a;
END;

COMMENT ON FUNCTION colbert._word_weights(float8, float8[]) IS
  'The weight of each lexeme by its rarity, from the numbers of documents that hold it.';

-- Reads a shortlist and ranks it: the keys of its best documents, as text, and their scores. No more than so many
-- documents are read, and overflows says whether there are more. A stored document is taken out of its compressed form
-- once, not once for each lexeme: concatenating nothing does that.
CREATE OR REPLACE FUNCTION colbert._rank_shortlist(
  index colbert._index, document text, filter text, params jsonb, search_path text,
  query tsquery, lexemes tsquery[], weights float8[], candidates integer, at_most float8,
  OUT keys text[], OUT scores float8[], OUT overflows boolean)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
SET work_mem = '32MB'
AS $_rank_shortlist$
DECLARE
  _documents text := colbert._source_rows_sql(
    index, 'document', document,
    concat('(' || filter || E'\n) AND ', document, format(' OPERATOR(pg_catalog.@@) %L::pg_catalog.tsquery', query)));
  _score text := (
    SELECT string_agg(
             format('(%L::pg_catalog.float8 OPERATOR(pg_catalog.*)'
                    ' pg_catalog.ts_rank(f.document, %L::pg_catalog.tsquery))', l.weight, l.lexeme),
             ' OPERATOR(pg_catalog.+) ' ORDER BY l.position)
      FROM unnest(lexemes, weights) WITH ORDINALITY AS l (lexeme, weight, position));
  _statement text := format(
    $rank$
    WITH found AS MATERIALIZED (
      SELECT d.doc_id, d.document FROM %s AS d LIMIT $3
    ), ranked AS (
      SELECT f.doc_id, %s AS score
        FROM (SELECT f.doc_id, f.document OPERATOR(pg_catalog.||) ''::pg_catalog.tsvector AS document
                FROM found AS f
              OFFSET 0) AS f
       ORDER BY score DESC, f.doc_id
       LIMIT $4
    )
    SELECT pg_catalog.array_agg(r.doc_id::pg_catalog.text ORDER BY r.score DESC, r.doc_id),
           pg_catalog.array_agg(r.score ORDER BY r.score DESC, r.doc_id),
           (SELECT pg_catalog.count(*) OPERATOR(pg_catalog.>=) $3 FROM found AS f)
      FROM ranked AS r
    $rank$,
    _documents, _score);
BEGIN
  PERFORM set_config('search_path', search_path, true);
  EXECUTE _statement INTO keys, scores, overflows
    USING NULL::pg_catalog.text, params, at_most::pg_catalog.int8, candidates;
END
$_rank_shortlist$;

COMMENT ON FUNCTION colbert._rank_shortlist(colbert._index, text, text, jsonb, text, tsquery, tsquery[], float8[], integer, float8) IS
  'The keys and scores of the best documents that match a tsquery, by the weighted ranks of some lexemes, among at most so many.';
