-- MaxSim where query tokens weigh other than 1: each term counts as often as weights says for its query token, and '{}'
-- stands for 1 each. Summed in groups of sixteen, as colbert._maxsim sums them.
CREATE OR REPLACE FUNCTION colbert._weighted_maxsim(query anyarray, document anyarray, weights float8[])
RETURNS float8
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000
SET search_path = pg_catalog, pg_temp
AS $_weighted_maxsim$
BEGIN
  IF cardinality(weights) = 0 THEN
    RETURN colbert._maxsim(query, document);
  END IF;
  RETURN (SELECT coalesce(sum(g.score ORDER BY g.number), 0)
            FROM (SELECT (m.query_position - 1) / 16 AS number,
                         sum(weights[m.query_position] * m.similarity ORDER BY m.query_position) AS score
                    FROM colbert._maxsim_matches(query, document) AS m
                   GROUP BY 1) AS g);
END
$_weighted_maxsim$;

COMMENT ON FUNCTION colbert._weighted_maxsim(anyarray, anyarray, float8[]) IS
  'MaxSim for a query whose tokens have weights.';
