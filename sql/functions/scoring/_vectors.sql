-- An array of document tokens as an array of vector, to be used as a query. Bits become the vectors whose signs they are.
CREATE OR REPLACE FUNCTION colbert._vectors(embeddings vector[])
RETURNS vector[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
RETURN embeddings;

COMMENT ON FUNCTION colbert._vectors(vector[]) IS 'The array itself.';

CREATE OR REPLACE FUNCTION colbert._vectors(embeddings halfvec[])
RETURNS vector[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
RETURN embeddings::vector[];

COMMENT ON FUNCTION colbert._vectors(halfvec[]) IS 'The array as vectors.';

CREATE OR REPLACE FUNCTION colbert._vectors(embeddings bit[])
RETURNS vector[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_vectors$
BEGIN
  RETURN ARRAY(SELECT colbert._direction(u.token)
                 FROM unnest(embeddings) WITH ORDINALITY AS u (token, position)
                ORDER BY u.position);
END
$_vectors$;

COMMENT ON FUNCTION colbert._vectors(bit[]) IS 'The unit vectors that have these bits as their signs.';
