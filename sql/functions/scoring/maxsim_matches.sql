-- The forms of maxsim_matches for two arrays: see _maxsim_matches.
CREATE OR REPLACE FUNCTION colbert.maxsim_matches(query vector[], document vector[])
RETURNS TABLE (query_position integer, document_position integer, similarity float8)
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000 ROWS 32
BEGIN ATOMIC
  SELECT m.query_position, m.document_position, m.similarity
    FROM colbert._maxsim_matches(query, document) AS m;
END;

COMMENT ON FUNCTION colbert.maxsim_matches(vector[], vector[]) IS
  'For each query token the document token with the largest inner product: positions from 1, and the similarity.';

CREATE OR REPLACE FUNCTION colbert.maxsim_matches(query halfvec[], document halfvec[])
RETURNS TABLE (query_position integer, document_position integer, similarity float8)
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000 ROWS 32
BEGIN ATOMIC
  SELECT m.query_position, m.document_position, m.similarity
    FROM colbert._maxsim_matches(query, document) AS m;
END;

COMMENT ON FUNCTION colbert.maxsim_matches(halfvec[], halfvec[]) IS
  'For each query token the document token with the largest inner product: positions from 1, and the similarity.';

CREATE OR REPLACE FUNCTION colbert.maxsim_matches(query bit[], document bit[])
RETURNS TABLE (query_position integer, document_position integer, similarity float8)
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000 ROWS 32
BEGIN ATOMIC
  SELECT m.query_position, m.document_position, m.similarity
    FROM colbert._maxsim_matches(query, document) AS m;
END;

COMMENT ON FUNCTION colbert.maxsim_matches(bit[], bit[]) IS
  'For each query token the document token with the most bits in common: positions from 1, and the share of bits.';
