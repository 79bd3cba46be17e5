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
