-- The method of an index for which none is named. It is staged where a first stage is named, and else plaid: the fastest,
-- the smallest, and it works from an empty table on. It is hnsw where plaid is weak:
--
--   * row-level security: readers to whom it applies may not see centroids, so plaid scores all that they may see, unless
--     the index is kept apart by tenant
--   * vectors that are not normalised: a centroid stands for directions, and says nothing of lengths
CREATE OR REPLACE FUNCTION colbert._default_method(source regclass, options jsonb)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT CASE WHEN options ? 'first_stage' THEN 'staged'
              WHEN options ? 'tenant' THEN 'plaid'
              WHEN c.relrowsecurity OR options -> 'normalized' = 'false'::jsonb THEN 'hnsw'
              ELSE 'plaid' END
    FROM pg_catalog.pg_class AS c
   WHERE c.oid = source;
END;

COMMENT ON FUNCTION colbert._default_method(regclass, jsonb) IS
  'The method of an index for which none is named.';
