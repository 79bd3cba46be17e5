-- How much a search does. It follows from what the search sees, by one rule with two parts:
--
--   reading    The more documents there are, and the more are wanted, the more of the index each query token reads: 5 *
--              sqrt(documents * sqrt(k)) postings, and some more of large collections and for short queries (plaid:
--              _plaid_reading), or sqrt(documents * k) / 2 nearest tokens, but at least 100 (hnsw, ivfflat).
--              SET colbert.effort = 2 doubles that.
--   scoring    Candidates are scored in the order in which the index ranks them, until the next one is unlikely to be
--              among the best k. How unlikely follows from this search itself, from its candidates' gains and scores
--              so far (_score_candidates): the search stops when the next one would have to be margin standard
--              deviations better than expected. SET colbert.margin = 4 makes it surer.
--
-- The margin is larger for a short query, whose scores lie closer together, and the more documents there are for each
-- that is wanted: more of them may surprise, and one that is missed is a larger share. It is 1.6 + 4.5 / sqrt(query tokens)
-- where there are 500, 0.6 more for ten times as many, and at the least 0.6 less. Chosen on the four collections of
-- benchmarks/results/defaults.txt, and on fifty thousand documents made of one of them. Fewer than five thousand
-- documents count as so many: of 500, a search for 10 found .93 where they did not, and finds .97 so. The margin also grows
-- with the power .07 of colbert.effort: who reads more is surer what to expect, stops sooner, and with the same margin
-- found no more (.988 at four times the reading, .994 at once; .993 so).
--
-- 400 + 6 * k documents are scored at the most. For a query of fewer than eight tokens it is more, in proportion: a document
-- costs less then, and the index knows less of it. With three tokens of each query of SciFact a search finds .990 of the
-- best ten so, and .960 with 460 documents at the most.
--
-- From fifty thousand documents on, the margin is 0.5 more for ten times as many, and the most that are scored grow with the cube
-- root: there, more candidates cost less than as much more reading would. Where each token reads 16,000 postings of a million
-- documents, 460 candidates hold .935 of the best ten, 973 hold .965 and 2,057 .975 (300 tokens to a centroid); with two thirds of
-- that .900, .933 and .955. Not under a filter, which leaves fewer documents: there each candidate is looked up in the source first,
-- and of 1,248 of them a search through a tenth of a million took 1,059 ms.
--
-- Under row-level security a search counts as one of ten thousand documents: how many there are that the reader does not
-- see must not change what it finds. The part of a tenant counts as it is.
--
-- Of k documents that are wanted of all shards, one that holds a share of them at random holds about k * share of the
-- best. It stops once the next candidate is unlikely to be among as many and two standard deviations more. What plaid reads
-- grows with the power .65 of the documents and .25 of k, so that a shard with a factor of share ^ .35 and (k / its k) ^ .25
-- reads the share of what one table of all would (_share_of_shards); one of more than fifty thousand documents reads more. It
-- looks for more than its part of the best, so that it may be less sure of each: the margin is that of so many fewer documents.
--
-- Whoever names a number of candidates has that many scored; whoever names a patience has a search that stops when so
-- many candidates in a row have changed nothing. The margin does not count then, unless it is named, too.
CREATE OR REPLACE FUNCTION colbert._effort(
  index colbert._index, scope colbert._scope, query_tokens integer, k integer, candidates integer)
RETURNS colbert._effort
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_effort$
DECLARE
  _effort colbert._effort;
  _candidates integer := colbert._knob('candidates', candidates, index.options, NULL);
  _share float8 := least(1, colbert._factor('share', '{}', 1));
  _asked float8 := colbert._factor('effort', index.options, 1);
  _large float8;
  _margin float8;
BEGIN
  _effort.k := colbert._k_of_share(k, _share);
  _effort.documents := CASE WHEN index.part > 0 THEN (colbert._plaid_size(index)).documents
                            WHEN row_security_active(index.source) THEN 10000
                            ELSE greatest(1, colbert._estimated_rows(index.source)) END;
  _large := CASE WHEN scope.filtered THEN 1 ELSE greatest(1, _effort.documents / 50000) END;
  _effort.factor := _asked * power(_share, 0.35) * power(k::float8 / _effort.k, 0.25);
  _effort.candidates := greatest(
    k, coalesce(_candidates, colbert._to_count((400 + 6 * k::bigint) * greatest(1, 8.0 / query_tokens) * cbrt(_large))));
  _effort.patience := colbert._knob('patience', NULL, index.options, NULL);
  _margin := (1.6 + 4.5 / sqrt(query_tokens)
              + 0.6 * log(greatest(0.1, _share * greatest(5000, _effort.documents) / (500.0 * k)))
              + 0.5 * log(_large))
             * power(_asked, 0.07);
  _effort.margin := colbert._factor(
    'margin', index.options,
    CASE WHEN coalesce(_candidates, _effort.patience) IS NULL THEN greatest(0.5, _margin) END);
  RETURN _effort;
END
$_effort$;

COMMENT ON FUNCTION colbert._effort(colbert._index, colbert._scope, integer, integer, integer) IS
  'How much a search for k documents does, from what it is asked for, the session and the index''s options.';

CREATE OR REPLACE FUNCTION colbert._k_of_share(k integer, share float8)
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN least(k, ceil(k * share + 2 * sqrt(k * share * (1 - share))))::integer;

COMMENT ON FUNCTION colbert._k_of_share(integer, float8) IS
  'About how many of the best k a share of the documents holds that is drawn at random, and two standard deviations more.';
