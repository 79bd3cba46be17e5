-- How much a search does. It follows from what the search sees, by one rule with two parts:
--
--   reading    Each query token reads an amount of the index that is in proportion to sqrt(k * documents), the
--              geometric mean of how many documents are wanted and how many there are: three times as many postings
--              (plaid), or half as many nearest tokens (hnsw, ivfflat). SET colbert.effort = 2 doubles that.
--   scoring    Candidates are scored in the order in which the index ranks them, until the next one is unlikely to be
--              among the best k. How unlikely follows from this search itself: by how much the scores so far differ
--              from what the index made of them, and by how much that varies. The search stops when the next candidate
--              falls short of the k-th best score by margin standard deviations (_score_candidates). SET
--              colbert.margin = 3 makes it surer.
--
-- Measured in benchmarks/results/defaults.txt: recall@10 of .97 and more, recall@100 of .95 and more, for queries of 6
-- to 23 tokens and documents of 80 to 240. The margin falls as k grows, since one document that is missed is a
-- smaller share of more: 3.2 at k = 1, 2.5 at 10, 1.8 at 100.
--
-- Whoever names a number of candidates has that many scored; whoever names a patience has a search that stops when so
-- many candidates in a row have changed nothing. The margin does not count then, unless it is named, too.
CREATE OR REPLACE FUNCTION colbert._effort(index colbert._index, k integer, candidates integer)
RETURNS colbert._effort
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_effort$
DECLARE
  _effort colbert._effort;
  _candidates integer := colbert._knob('candidates', candidates, index.options, NULL);
  _margin float8 := 3.2 - 0.7 * log(k);
BEGIN
  _effort.k := k;
  _effort.reading := colbert._factor('effort', index.options, 1)
                     * sqrt(k * greatest(1, colbert._estimated_rows(index.source)));
  _effort.candidates := greatest(k, coalesce(_candidates, colbert._to_count(greatest(1000, 10 * k::bigint))));
  _effort.patience := colbert._knob('patience', NULL, index.options, NULL);
  _effort.margin := colbert._factor(
    'margin', index.options,
    CASE WHEN coalesce(_candidates, _effort.patience) IS NULL THEN greatest(0.5, _margin) END);
  RETURN _effort;
END
$_effort$;

COMMENT ON FUNCTION colbert._effort(colbert._index, integer, integer) IS
  'How much a search for k documents does, from what it is asked for, the session and the index''s options.';
