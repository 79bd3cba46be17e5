-- The forms of maxsim for two arrays: see _maxsim.
CREATE OR REPLACE FUNCTION colbert.maxsim(query vector[], document vector[])
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000
RETURN colbert._maxsim(query, document);

COMMENT ON FUNCTION colbert.maxsim(vector[], vector[]) IS
  'The late-interaction score of a document: for each query token its largest inner product with a document token, summed.';

CREATE OR REPLACE FUNCTION colbert.maxsim(query halfvec[], document halfvec[])
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000
RETURN colbert._maxsim(query, document);

COMMENT ON FUNCTION colbert.maxsim(halfvec[], halfvec[]) IS
  'The late-interaction score of a document: for each query token its largest inner product with a document token, summed.';

CREATE OR REPLACE FUNCTION colbert.maxsim(query bit[], document bit[])
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000
RETURN colbert._maxsim(query, document);

COMMENT ON FUNCTION colbert.maxsim(bit[], bit[]) IS
  'The late-interaction score of a document of bits: for each query token the largest share of bits that a document token has in common with it, summed.';
