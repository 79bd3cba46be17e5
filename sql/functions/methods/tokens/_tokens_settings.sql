-- Settings for tune to try.
CREATE OR REPLACE FUNCTION colbert._tokens_settings(index colbert._index)
RETURNS SETOF jsonb
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
ROWS 12
BEGIN ATOMIC
  SELECT jsonb_build_object('patience', p.patience, 'candidates', 5 * p.patience)
         || CASE index.method
              WHEN 'hnsw' THEN jsonb_build_object('hits', n.step * 50)
              ELSE jsonb_build_object('hits', 100, 'nprobe', n.step * 4)
            END
    FROM unnest(ARRAY[1, 2, 4, 8]) AS n (step)
   CROSS JOIN unnest(ARRAY[20, 40, 80]) AS p (patience);
END;

COMMENT ON FUNCTION colbert._tokens_settings(colbert._index) IS 'Settings of an hnsw or ivfflat index that tune tries.';

-- What the candidate stage reads for a query.
CREATE OR REPLACE FUNCTION colbert._tokens_insight(index colbert._index, query vector[])
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_insight$
DECLARE
  _hits integer := colbert._knob('hits', NULL, index.options, 100);
BEGIN
  RETURN format('%s query tokens, %s nearest tokens of each, %s', cardinality(query), _hits,
                CASE index.method
                  WHEN 'hnsw' THEN format('ef_search %s', colbert._knob('ef_search', NULL, index.options, greatest(40, _hits)))
                  ELSE format('nprobe %s', colbert._knob('nprobe', NULL, index.options, 8))
                END);
END
$_tokens_insight$;

COMMENT ON FUNCTION colbert._tokens_insight(colbert._index, vector[]) IS
  'What the candidate stage of an hnsw or ivfflat index reads for a query.';
