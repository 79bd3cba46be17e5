-- The few things of pgvector that PL/pgSQL bodies need, under names of our own. A PL/pgSQL body runs
-- with search_path = pg_catalog, pg_temp and cannot know which schema pgvector lives in; these bodies
-- are bound when they are created, follow ALTER EXTENSION vector SET SCHEMA, and are inlined.

CREATE OR REPLACE FUNCTION colbert._negative_inner_product(a vector, b vector)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN a <#> b;

COMMENT ON FUNCTION colbert._negative_inner_product(vector, vector) IS 'pgvector''s <#>.';

CREATE OR REPLACE FUNCTION colbert._negative_inner_product(a halfvec, b halfvec)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN a <#> b;

COMMENT ON FUNCTION colbert._negative_inner_product(halfvec, halfvec) IS 'pgvector''s <#>.';

CREATE OR REPLACE FUNCTION colbert._hamming_distance(a bit, b bit)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN a <~> b;

COMMENT ON FUNCTION colbert._hamming_distance(bit, bit) IS 'pgvector''s <~>: in how many bits two strings differ.';

CREATE OR REPLACE FUNCTION colbert._similarity(a vector, b vector)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN - (a <#> b);

COMMENT ON FUNCTION colbert._similarity(vector, vector) IS 'The inner product.';

CREATE OR REPLACE FUNCTION colbert._similarity(a halfvec, b halfvec)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN - (a <#> b);

COMMENT ON FUNCTION colbert._similarity(halfvec, halfvec) IS 'The inner product.';

CREATE OR REPLACE FUNCTION colbert._similarity(a bit, b bit)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN 1 - (a <~> b) / length(a);

COMMENT ON FUNCTION colbert._similarity(bit, bit) IS 'The share of the bits that are the same.';

CREATE OR REPLACE FUNCTION colbert._norm(a vector)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN vector_norm(a);

COMMENT ON FUNCTION colbert._norm(vector) IS 'Euclidean length.';

CREATE OR REPLACE FUNCTION colbert._norm(a halfvec)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN l2_norm(a);

COMMENT ON FUNCTION colbert._norm(halfvec) IS 'Euclidean length.';

-- Bits stand for a direction, and every string of them for one of length 1. (Not STRICT, so that it is inlined.)
CREATE OR REPLACE FUNCTION colbert._norm(a bit)
RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN a IS NOT NULL THEN 1::float8 END;

COMMENT ON FUNCTION colbert._norm(bit) IS '1: bits have a direction and no length.';

CREATE OR REPLACE FUNCTION colbert._dimensions(a vector)
RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN vector_dims(a);

COMMENT ON FUNCTION colbert._dimensions(vector) IS 'The number of dimensions.';

CREATE OR REPLACE FUNCTION colbert._dimensions(a halfvec)
RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN vector_dims(a);

COMMENT ON FUNCTION colbert._dimensions(halfvec) IS 'The number of dimensions.';

CREATE OR REPLACE FUNCTION colbert._dimensions(a bit)
RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN length(a);

COMMENT ON FUNCTION colbert._dimensions(bit) IS 'The number of bits.';

CREATE OR REPLACE FUNCTION colbert._unit(a vector)
RETURNS vector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN l2_normalize(a);

COMMENT ON FUNCTION colbert._unit(vector) IS 'The vector of length 1 in the same direction.';

CREATE OR REPLACE FUNCTION colbert._first_dimensions(a vector, dimensions integer)
RETURNS vector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN subvector(a, 1, dimensions);

COMMENT ON FUNCTION colbert._first_dimensions(vector, integer) IS 'The vector without all dimensions after the first ones.';

-- pgvector's own * refuses what is too small to be anything but 0.
CREATE OR REPLACE FUNCTION colbert._scaled(a vector, factor float8)
RETURNS vector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT array_agg(u.number * factor ORDER BY u.place)::vector
    FROM unnest(a::real[]) WITH ORDINALITY AS u (number, place);
END;

COMMENT ON FUNCTION colbert._scaled(vector, float8) IS 'The vector times a number.';

CREATE OR REPLACE FUNCTION colbert._binary_quantize(a vector)
RETURNS bit
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN binary_quantize(a);

COMMENT ON FUNCTION colbert._binary_quantize(vector) IS 'A bit for each number: whether it is positive.';

CREATE OR REPLACE FUNCTION colbert._binary_quantize(a halfvec)
RETURNS bit
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN binary_quantize(a);

COMMENT ON FUNCTION colbert._binary_quantize(halfvec) IS 'A bit for each number: whether it is positive.';

-- What a document token is to plaid and to a query that is drawn from documents: a vector. That of bits is the unit
-- vector which has them as its signs. (By its text: 28 µs for 128 bits, where an array of numbers takes 44.)
CREATE OR REPLACE FUNCTION colbert._direction(a vector)
RETURNS vector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN a;

COMMENT ON FUNCTION colbert._direction(vector) IS 'The vector itself.';

CREATE OR REPLACE FUNCTION colbert._direction(a halfvec)
RETURNS halfvec
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN a;

COMMENT ON FUNCTION colbert._direction(halfvec) IS 'The vector itself.';

CREATE OR REPLACE FUNCTION colbert._direction(a bit)
RETURNS vector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN l2_normalize(('[' || rtrim(replace(replace(a::text, '1', '1,'), '0', '-1,'), ',') || ']')::vector);

COMMENT ON FUNCTION colbert._direction(bit) IS 'The unit vector that has these bits as its signs.';

-- A restored database creates functions by name, and may do so before anything has loaded pgvector's library:
-- reading this literal does, so that a role that is not a superuser may create colbert._tokens_candidates,
-- which sets parameters of pgvector. The name sorts before that one.
CREATE OR REPLACE FUNCTION colbert._load_pgvector()
RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '[1]'::vector;

COMMENT ON FUNCTION colbert._load_pgvector() IS
  'Loads pgvector''s library when a dump that creates it is restored; nothing calls it.';

CREATE OR REPLACE FUNCTION colbert._vector_schema()
RETURNS name
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT n.nspname
    FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
   WHERE e.extname = 'vector';
END;

COMMENT ON FUNCTION colbert._vector_schema() IS
  'The schema in which pgvector lives today, for statements that are built when they run.';
