-- The candidate stage of plaid. Each query token reads the postings of its nearest centroids, nearest first, until it
-- has read its share (_plaid_reading), or all postings of as many centroids as nprobe names. A document that it has
-- come to gains about the similarity of the nearest of those centroids. Documents are ranked by their gains.
--
-- About: the document may have tokens under several of them. The more it has, the nearer the best of those is likely to
-- be. So it gains the soft maximum ln(sum(exp(20 * similarity))) / 20, of which a centroid's part is computed once for
-- all of its postings (evidence). Measured on SciFact grown to 12,000 documents, with claims and with keywords for
-- queries, .95 of the best hundred are among a twentieth fewer candidates so than with the maximum.
--
-- A document that a query token has not come to has tokens, too, somewhere farther away. It counts as if at
-- 0.9 of the similarity of the last centroid that the token might read. Since every document gets that, it is taken
-- from the gains instead. Measured there with keywords, .97 of the best ten are among 220 candidates so, among 250 with
-- 0.8, and among 330 with 0.8 of the similarity of the last centroid that was read, which takes another look at all
-- postings to know. The window that finds the last one is ordered, as centroids already are: with max() over an unordered one
-- the planner no longer knows their order, reads the postings of all of them, and sorts those (36 ms where it is 12).
--
-- Reading ends before that last centroid, since those near a query's token are large. A full stop has dozens of centroids as
-- near as each other, and then none for long. Where the list ends among those behind, documents that were left out for want of
-- postings would count as if they had no full stop. So they count as if at 0.75 of the similarity of a centroid at three fifths of
-- the list, about where reading ends, if that is more. Measured on source code, k = 100 and twice the effort, .984 of the
-- best hundred are found so, and .960 otherwise; where lists end among their like, as many as before (results/reference.txt).
-- The last centroid of which postings were read would tell better: of a thousand documents .994 of the best hundred were found so, .978
-- otherwise. But it is known only when all documents that a token has come to are counted, which takes a tenth more time or two.
--
-- Why a share of postings and not a number of centroids: centroids differ in size, and collections in how many tokens a
-- centroid has. Measured, the same number of postings finds more when it is shared evenly.
--
-- Where the scope is restricted to a part of the documents, postings of others are passed over while they are read. Where
-- it is restricted to so many that they would be long to list, the ranked documents are looked up in it one by one,
-- until there are enough. With 460 candidates, 7,500 of fifty thousand documents cost the same both ways, and 42,000 of a million:
-- about 2 * sqrt(candidates * documents).
--
-- Some hundred bytes of memory are needed for each document that is reached, more than work_mem's default of 4 MB from
-- about a hundred thousand on.
--
-- The part of a tenant is read like an index of its own.
CREATE OR REPLACE FUNCTION colbert._plaid_candidates(
  index colbert._index, query vector[], scope colbert._scope, effort colbert._effort)
RETURNS TABLE (doc_id text, gain float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_seqscan = on
SET jit = off
SET work_mem = '32MB'
SET ivfflat.probes = 4
SET hnsw.ef_search = 40
SET hnsw.iterative_scan = relaxed_order
AS $_plaid_candidates$
DECLARE
  _reading record := colbert._plaid_reading(index, cardinality(query), effort);
  _ordinals integer[] := colbert._plaid_ordinals(index, scope, (2 * sqrt(effort.candidates * effort.documents))::bigint);
  _statement text := format(
    $candidates$
    WITH query_token AS MATERIALIZED (
      SELECT colbert._unit(u.token)::%1$s AS token, colbert._norm(u.token) AS weight
        FROM pg_catalog.unnest($1) AS u (token)
    ), ranked AS (
      SELECT g.ordinal, sum(q.weight * g.gain) AS gain
        FROM query_token AS q
       CROSS JOIN LATERAL (
             SELECT r.ordinal, pg_catalog.ln(sum(r.evidence)) / 20::pg_catalog.float8 AS gain
               FROM (SELECT p.ordinal, c.evidence
                       FROM (SELECT c.id, c.distance,
                                    pg_catalog.exp(20::pg_catalog.float8 * (
                                      LEAST(0.9::pg_catalog.float8 * pg_catalog.last_value(c.distance) OVER by_distance,
                                            0.75::pg_catalog.float8 * pg_catalog.nth_value(c.distance, $7) OVER by_distance)
                                      - c.distance)) AS evidence
                               FROM (SELECT c.id, c.centroid OPERATOR(%2$I.<#>) q.token AS distance
                                       FROM %3$s
                                      ORDER BY c.centroid OPERATOR(%2$I.<#>) q.token
                                      LIMIT $3) AS c
                             WINDOW by_distance AS (ORDER BY c.distance ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) AS c
                       JOIN %4$s AS p ON p.centroid_id = c.id %8$s
                      ORDER BY c.distance
                      LIMIT $4) AS r
              GROUP BY r.ordinal) AS g
       GROUP BY g.ordinal
       ORDER BY gain DESC, g.ordinal
       %6$s
    )
    SELECT d.doc_id::pg_catalog.text, r.gain
      FROM ranked AS r
      JOIN %5$s AS d ON d.ordinal = r.ordinal
     %7$s
     ORDER BY r.gain DESC, r.ordinal
     LIMIT $5
    $candidates$,
    colbert._plaid_type(index), colbert._vector_schema(), colbert._plaid_near_sql(index, _reading.lists),
    colbert._derived_table(index, 'postings'), colbert._derived_table(index, 'documents'),
    CASE WHEN NOT scope.restricted OR _ordinals IS NOT NULL THEN 'LIMIT $5' END,
    CASE WHEN _ordinals IS NULL THEN colbert._in_scope_sql(scope, 'd.doc_id') END,
    CASE WHEN _ordinals IS NOT NULL THEN 'AND p.ordinal OPERATOR(pg_catalog.=) ANY ($6)' END);
BEGIN
  PERFORM colbert._derived_table(index, 'centroids'),
          CASE WHEN index.part > 0 THEN colbert._derived_table(index, 'lists') END,
          set_config('enable_seqscan', (index.part IS NULL)::text, true),
          set_config('ivfflat.probes', _reading.lists::text, true),
          set_config('hnsw.ef_search', least(1000, greatest(40, _reading.centroids))::text, true),
          set_config('search_path', scope.search_path, true);
  RETURN QUERY EXECUTE _statement USING query, scope.params, _reading.centroids, _reading.postings, effort.candidates, _ordinals,
                                        ceil(0.6 * _reading.centroids)::integer;
END
$_plaid_candidates$;

COMMENT ON FUNCTION colbert._plaid_candidates(colbert._index, vector[], colbert._scope, colbert._effort) IS
  'The keys of the documents filed under the centroids nearest to the query''s tokens, as text, best first, with their gains.';

-- How much each query token reads: how many postings, of at most how many centroids, in how many lists of pgvector's
-- index. Postings: 5 * sqrt(documents * sqrt(k)), and from five thousand documents to fifty thousand a little more, with the
-- power of .65 instead of .5 of their number. Measured on fifty thousand: recall@10 .972, where the square root alone found .967
-- with the same margin, and in the same time but for a tenth. Beyond, more candidates find more in the same time (_effort),
-- and reading grows with the power of .375. With that of .5, a search of a million took 118 ms and found .977 of the best ten; with .4, 97
-- ms and .970; with .375, 94 ms and .965; with .33, 83 ms and .962. Fifty thousand took 27. Through a filter that leaves a twentieth, for
-- which there are no more candidates, it took twice as long as one without and found .960 with .5, and 1.4 to 1.8 times as
-- long and .947 with .375.
--
-- The fewer tokens a query has, the more each reads, so that what a search reads grows with the square root of their
-- number: where there are twenty, as above.
--
-- A list holds sqrt(centroids) / 3 centroids (_plaid_index_centroids).
-- So many are read that they hold sixteen times as many centroids as are wanted: the nearest ones are in more lists than would
-- hold them. Of fifty thousand documents of 60 tokens, lists that hold as many found .965 of the best ten and .924 of the
-- best hundred, these .973 and .947, in a tenth more time; and with twice the reading more instead of hardly more. Half of these
-- lists found as much of a thousand documents in a twentieth less time, but of a million .981 and .976 for .989 and .985 in the same.
CREATE OR REPLACE FUNCTION colbert._plaid_reading(
  index colbert._index, query_tokens integer, effort colbert._effort,
  OUT postings bigint, OUT centroids integer, OUT lists integer)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_reading$
DECLARE
  _nprobe integer := colbert._knob('nprobe', NULL, index.options, NULL);
  _size record := colbert._plaid_size(index);
BEGIN
  postings := CASE WHEN _nprobe IS NULL THEN ceil(effort.factor * 5 * sqrt(effort.documents * sqrt(effort.k))
                                              * power(least(10, greatest(1, effort.documents / 5000)), 0.15)
                                              * power(greatest(1, effort.documents / 50000), -0.125)
                                              * sqrt(20.0 / query_tokens)) END;
  -- Where all are as large as their mean, these hold the postings. Those near a query's token are mostly larger.
  centroids := coalesce(_nprobe, colbert._to_count(8 + postings * _size.centroids / _size.postings));
  lists := least(32768, greatest(4, ceil(48 * centroids / sqrt(_size.centroids))));
END
$_plaid_reading$;

COMMENT ON FUNCTION colbert._plaid_reading(colbert._index, integer, colbert._effort) IS
  'How many postings each query token reads, of at most how many centroids, in how many lists.';

-- A filter is run on the source's rows one by one. To find that it leaves more than so many takes as long as to list them,
-- 110 to 180 ms of a million documents. So where that is long, a share of the documents tells it first. What it tells may be a
-- third too low: up to twice as many are listed then, rather than that so many were listed for nothing.
CREATE OR REPLACE FUNCTION colbert._plaid_ordinals(index colbert._index, scope colbert._scope, at_most bigint)
RETURNS integer[]
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET jit = off
SET enable_seqscan = on
AS $_plaid_ordinals$
DECLARE
  _documents regclass := colbert._derived_table(index, 'documents');
  _told boolean := at_most >= 1000 AND (index.part > 0) IS NOT TRUE;
  _limit bigint := CASE WHEN _told THEN 2 * at_most ELSE at_most END;
  _ordinals integer[];
BEGIN
  IF scope.restricted AND (NOT _told OR colbert._plaid_in_scope(index, scope) <= at_most) THEN
    PERFORM set_config('enable_seqscan', (index.part IS NULL)::text, true),
            set_config('search_path', scope.search_path, true);
    EXECUTE pg_catalog.format(
      'SELECT pg_catalog.array_agg(d.ordinal) FROM (SELECT s.doc_id FROM %s AS s LIMIT $1) AS s'
      '  JOIN %s AS d ON d.doc_id OPERATOR(pg_catalog.=) s.doc_id%s',
      scope.documents, _documents, ' AND d.part OPERATOR(pg_catalog.=) ' || index.part)
       INTO _ordinals
      USING _limit + 1, scope.params;
  END IF;
  RETURN CASE WHEN pg_catalog.cardinality(_ordinals) <= _limit THEN _ordinals END;
END
$_plaid_ordinals$;

COMMENT ON FUNCTION colbert._plaid_ordinals(colbert._index, colbert._scope, bigint) IS
  'The ordinals of the documents of a restricted scope; NULL where they are about more than so many, or the scope is not restricted.';

-- Two hundred documents are looked up in the scope. Their ordinals are spread evenly, but by the golden ratio, so that they do not keep
-- step with what a filter counts by. An ordinal may be that of a version of a document that is gone: the next one stands for it.
CREATE OR REPLACE FUNCTION colbert._plaid_in_scope(index colbert._index, scope colbert._scope)
RETURNS float8
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $_plaid_in_scope$
DECLARE
  _keys text[];
BEGIN
  EXECUTE format('SELECT array_agg(DISTINCT d.doc_id::text)'
                 '  FROM (SELECT max(d.ordinal)::bigint AS last FROM %1$s AS d) AS m'
                 ' CROSS JOIN generate_series(1, 200::bigint) AS i (i)'
                 ' CROSS JOIN LATERAL (SELECT d.doc_id FROM %1$s AS d'
                 '                      WHERE d.ordinal >= (i.i * 618033989 %% 1000000000 * m.last / 1000000000)::integer'
                 '                      ORDER BY d.ordinal LIMIT 1) AS d',
                 colbert._derived_table(index, 'documents'))
     INTO _keys;
  RETURN (colbert._plaid_size(index)).documents * colbert._count_visible(index, scope, _keys) / cardinality(_keys);
END
$_plaid_in_scope$;

COMMENT ON FUNCTION colbert._plaid_in_scope(colbert._index, colbert._scope) IS
  'About how many documents of an index are in a scope.';
