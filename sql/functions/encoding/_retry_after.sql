-- The time to wait doubles with each attempt, up to an hour.
CREATE OR REPLACE FUNCTION colbert._retry_after(first interval, attempts integer)
RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN least(first * 2 ^ least(attempts - 1, 20), greatest(first, interval '1 hour'));

COMMENT ON FUNCTION colbert._retry_after(interval, integer) IS
  'How long to wait after so many attempts: twice as long each time, up to an hour.';
