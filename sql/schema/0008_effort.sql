-- 0.3.0: how much a search does
CREATE TYPE colbert._effort AS (
  k integer,
  reading float8,
  candidates integer,
  patience integer,
  margin float8
);

COMMENT ON TYPE colbert._effort IS 'How much a search does: see the function colbert._effort.';
COMMENT ON COLUMN colbert._effort.k IS 'How many documents are wanted.';
COMMENT ON COLUMN colbert._effort.reading IS
  'The measure by which a method reads its index: effort * sqrt(sqrt(k) * documents).';
COMMENT ON COLUMN colbert._effort.candidates IS 'How many documents are scored exactly, at the most.';
COMMENT ON COLUMN colbert._effort.patience IS
  'How many of them in a row may change nothing before the search stops; NULL where that does not count.';
COMMENT ON COLUMN colbert._effort.margin IS
  'By how many standard deviations the next candidate must fall short before the search stops; NULL where that does not count.';

DROP FUNCTION IF EXISTS colbert._effort(colbert._index, integer, integer);
DROP FUNCTION IF EXISTS colbert._candidate_keys(colbert._index, vector[], colbert._scope, integer);
DROP FUNCTION IF EXISTS colbert._score_candidates(colbert._index, vector[], colbert._scope, text[], integer, integer);
DROP FUNCTION IF EXISTS colbert._plaid_candidates(colbert._index, vector[], colbert._scope, integer);
DROP FUNCTION IF EXISTS colbert._plaid_nprobe(colbert._index);
DROP FUNCTION IF EXISTS colbert._plaid_insight(colbert._index, vector[]);
DROP FUNCTION IF EXISTS colbert._tokens_candidates(colbert._index, vector[], colbert._scope, integer);
DROP FUNCTION IF EXISTS colbert._tokens_insight(colbert._index, vector[]);
