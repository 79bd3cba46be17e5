-- Nine digits are as many as a count has anywhere: a knob, an option, how many documents a search asks for.
CREATE OR REPLACE FUNCTION colbert._largest_count()
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN 999999999;

COMMENT ON FUNCTION colbert._largest_count() IS 'The largest number that a knob may have.';

CREATE OR REPLACE FUNCTION colbert._to_count(value float8)
RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
RETURN least(colbert._largest_count(), ceil(value))::integer;

COMMENT ON FUNCTION colbert._to_count(float8) IS
  'A number as a count: rounded up, and no larger than the largest.';
