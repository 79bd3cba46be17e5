-- The signs of token vectors: what a column of type bit(n)[] keeps of them, and how a query is compared with it. A bit is
-- set where the number is positive (pgvector's binary_quantize). It may stand in a generated column.
CREATE OR REPLACE FUNCTION colbert.binary_quantize(embeddings vector[])
RETURNS bit[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 1000
SET search_path = pg_catalog, pg_temp
AS $binary_quantize$
BEGIN
  PERFORM colbert._refuse_malformed(embeddings, 'document');
  RETURN ARRAY(SELECT colbert._binary_quantize(u.token)
                 FROM unnest(embeddings) WITH ORDINALITY AS u (token, position)
                ORDER BY u.position);
END
$binary_quantize$;

COMMENT ON FUNCTION colbert.binary_quantize(vector[]) IS
  'The signs of token vectors, as bits: for columns of type bit(n)[].';

CREATE OR REPLACE FUNCTION colbert.binary_quantize(embeddings halfvec[])
RETURNS bit[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 1000
SET search_path = pg_catalog, pg_temp
AS $binary_quantize$
BEGIN
  PERFORM colbert._refuse_malformed(embeddings, 'document');
  RETURN ARRAY(SELECT colbert._binary_quantize(u.token)
                 FROM unnest(embeddings) WITH ORDINALITY AS u (token, position)
                ORDER BY u.position);
END
$binary_quantize$;

COMMENT ON FUNCTION colbert.binary_quantize(halfvec[]) IS
  'The signs of token vectors, as bits: for columns of type bit(n)[].';
