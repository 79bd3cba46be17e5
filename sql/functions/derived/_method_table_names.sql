CREATE OR REPLACE FUNCTION colbert._method_table_names(method text)
RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE
         WHEN method IN ('exact', 'shards', 'staged') THEN '{}'::text[]
         WHEN method = 'plaid' THEN '{centroids, postings, documents}'::text[]
         ELSE '{tokens}'::text[]
       END;

COMMENT ON FUNCTION colbert._method_table_names(text) IS
  'The names of the tables that a method makes, in the order in which it makes them.';
