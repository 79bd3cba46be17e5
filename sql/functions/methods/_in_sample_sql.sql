-- A document is in a sample by a hash of its key and of a seed, wherever its key stands.
CREATE OR REPLACE FUNCTION colbert._in_sample_sql(key text, sample float8, seed text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE WHEN sample >= 1 THEN 'true'
            ELSE format('(hashtext(%s::text || %L) & 2147483647) < %s', key, seed, (sample * 2147483647)::bigint) END;

COMMENT ON FUNCTION colbert._in_sample_sql(text, float8, text) IS
  'SQL for whether the document with a key is in a sample, a share of all.';
