-- Options of hnsw and ivfflat:
--
--   token_type        halfvec (default), vector or bit
--   hits              how many nearest tokens each query token fetches (search/_effort.sql)
--   m, ef_construction, ef_search    of pgvector's hnsw
--   lists, nprobe                    of pgvector's ivfflat; nprobe is its ivfflat.probes
CREATE OR REPLACE FUNCTION colbert._tokens_options(method text)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN '{"token_type": ["halfvec", "vector", "bit"], "hits": "integer"}'::jsonb
       || CASE method
            WHEN 'hnsw' THEN '{"m": "integer", "ef_construction": "integer", "ef_search": "integer"}'::jsonb
            ELSE '{"lists": "integer", "nprobe": "integer"}'::jsonb
          END;

COMMENT ON FUNCTION colbert._tokens_options(text) IS 'The options of the methods hnsw and ivfflat.';
