-- How many centroids so many tokens should have: 16 * sqrt(tokens), or one for 150 tokens where that is more, which it is
-- from some six million on, but 26 * sqrt(tokens) from fifteen million on. A search of a large table has to read less then, for the
-- same recall. Measured on a hundred thousand documents of six million tokens, recall@10 and recall@100:
--
--   tokens a centroid     32,000 and 57,000     63,000 and 112,000 postings read
--   474                   .910     .873         .933     .916
--   152                   .970     .916         .983     .945
--   79                    1        .948         .993     .966
--
-- To file a token takes the longer, the more centroids there are: a million documents of sixty million tokens take 25 minutes with one for
-- 150, and 18 to 22 with 26 * sqrt(tokens), which find as much in the same time (benchmarks/results/centroids.txt).
--
-- More of them find more in small tables, too: of SciFact .980 of the best ten and .967 of the best hundred with 28 *
-- sqrt(tokens), .972 and .961 with 16. But its search is no faster, and building takes half as long again.
CREATE OR REPLACE FUNCTION colbert._plaid_wanted_centroids(tokens float8)
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN greatest(16 * sqrt(tokens), least(tokens / 150, 26 * sqrt(tokens)));

COMMENT ON FUNCTION colbert._plaid_wanted_centroids(float8) IS
  'How many centroids a plaid index should have for so many tokens.';

-- The derivative by the number of tokens. That of 16 * sqrt(tokens) is 8 / sqrt(tokens), which is 128 / centroids, and that of
-- 26 * sqrt(tokens) is 338 / centroids. One for 150 tokens lies between them.
CREATE OR REPLACE FUNCTION colbert._plaid_centroid_chance(centroids integer)
RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE WHEN centroids < 38400 THEN 128.0 / greatest(1, centroids)
            WHEN centroids < 101400 THEN 1.0 / 150
            ELSE 338.0 / centroids
       END;

COMMENT ON FUNCTION colbert._plaid_centroid_chance(integer) IS
  'How likely a new token is to become a centroid, where there are so many; above 1 it is certain.';
