-- The tree by which a build finds the nearest of many centroids (_plaid_descend_sql), as in Nistér and Stewénius,
-- Scalable Recognition with a Vocabulary Tree (2006). Its root has a cube root of the centroids as nodes below it, each of
-- these has so many again, and each of those so many centroids. Nodes are drawn at random from the points below them, and
-- moved once to the mean of those that are nearest. A node or a centroid is below the eight nodes above that are nearest to
-- it (Liu et al., An Investigation of Practical Approximate Nearest Neighbor Algorithms, 2004): so it is found from the
-- other side of a border, too.
--
--   centroids   nodes above     nearest of all     similarity to the one found     points compared
--   17,800      8 and 8         .89                .807 (of .818)                  490
--               5 and 4         .81                .794                            300
--   200,000     8 and 8         .82                .840 (of .854)                  1,220
--               6 and 5         .77                .833                            850
--               5 and 4         .73                .828                            710
--
-- pgvector's two lists have .80 of the 200,000, and .835. With five and four, searches of a million documents found .975 of
-- the best ten where they had found .989. Nodes that are not moved have two thirds of the nearest, with five and four.
--
-- points is SQL for the ids and points of the centroids.
CREATE OR REPLACE FUNCTION colbert._plaid_build_tree(index colbert._index, points text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $_plaid_build_tree$
DECLARE
  _fan_out float8;
  _twigs integer;
  _operator text := format('OPERATOR(%I.<#>)', colbert._vector_schema());
BEGIN
  PERFORM colbert._plaid_fell_tree(index);
  EXECUTE format('SELECT cbrt(count(*)) FROM (%s) AS p', points) INTO _fan_out;
  _twigs := ceil(_fan_out * _fan_out);
  EXECUTE format('CREATE TEMPORARY TABLE colbert_twigs AS SELECT row_number() OVER ()::integer AS id, d.point '
                 '  FROM (SELECT p.point FROM (%s) AS p ORDER BY random() LIMIT $1) AS d', points)
    USING _twigs;
  EXECUTE 'CREATE TEMPORARY TABLE colbert_boughs AS SELECT row_number() OVER ()::integer AS id, d.point '
          '  FROM (SELECT t.point FROM pg_temp.colbert_twigs AS t ORDER BY random() LIMIT $1) AS d'
    USING ceil(_fan_out);
  PERFORM colbert._plaid_move_nodes(
    index, 'colbert_boughs',
    format('SELECT t.point AS token, '
           '       (SELECT b.id FROM pg_temp.colbert_boughs AS b ORDER BY b.point %s t.point LIMIT 1) AS centroid_id '
           '  FROM pg_temp.colbert_twigs AS t', _operator));
  PERFORM colbert._plaid_branch(index);
  PERFORM colbert._plaid_move_nodes(
    index, 'colbert_twigs',
    colbert._plaid_descend_sql(index, format('SELECT p.id, p.point AS token FROM (%s) AS p', points), 2));
  PERFORM colbert._plaid_branch(index);

  -- A twig below which there is no centroid would be the end of a token's way.
  PERFORM colbert._plaid_add_nodes(
    index, 2, _twigs,
    format('SELECT p.id, p.token AS point, t.id AS node, t.distance '
           '  FROM (%1$s) AS p '
           '  JOIN %2$s AS n ON n.part = %3$s AND n.level = 1 AND n.id = p.centroid_id '
           ' CROSS JOIN LATERAL (SELECT u.id, u.point %4$s p.token AS distance '
           '                       FROM unnest(n.ids, n.points) AS u (id, point) ORDER BY distance LIMIT 8) AS t',
           colbert._plaid_descend_sql(index, format('SELECT p.id, p.point AS token FROM (%s) AS p', points), 1),
           colbert._derived_table(index, 'nodes'), coalesce(index.part, 0), _operator));
  EXECUTE format('DELETE FROM pg_temp.colbert_twigs AS t '
                 ' WHERE NOT EXISTS (SELECT FROM %s AS n WHERE n.part = $1 AND n.level = 2 AND n.id = t.id)',
                 colbert._derived_table(index, 'nodes'))
    USING coalesce(index.part, 0);
  PERFORM colbert._plaid_branch(index);
  DROP TABLE pg_temp.colbert_twigs, pg_temp.colbert_boughs;
END
$_plaid_build_tree$;

COMMENT ON FUNCTION colbert._plaid_build_tree(colbert._index, text) IS
  'Puts centroids in a tree, by which a build finds the nearest.';

-- The root, and the nodes below it, from the temporary tables of boughs and twigs. A bough without twigs is not below the
-- root.
CREATE OR REPLACE FUNCTION colbert._plaid_branch(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_branch$
DECLARE
  _nodes regclass := colbert._derived_table(index, 'nodes');
  _boughs integer;
BEGIN
  EXECUTE format('DELETE FROM %s AS n WHERE n.part = $1 AND n.level < 2', _nodes) USING coalesce(index.part, 0);
  SELECT count(*) INTO _boughs FROM pg_temp.colbert_boughs;
  PERFORM colbert._plaid_add_nodes(
    index, 1, _boughs,
    format('SELECT t.id, t.point, b.id AS node, b.distance '
           '  FROM pg_temp.colbert_twigs AS t '
           ' CROSS JOIN LATERAL (SELECT b.id, b.point OPERATOR(%I.<#>) t.point AS distance '
           '                       FROM pg_temp.colbert_boughs AS b ORDER BY distance LIMIT 8) AS b',
           colbert._vector_schema()));
  PERFORM colbert._plaid_add_nodes(
    index, 0, 1,
    format('SELECT b.id, b.point, 0 AS node, 0 AS distance FROM pg_temp.colbert_boughs AS b '
           '  JOIN %s AS n ON n.part = %s AND n.level = 1 AND n.id = b.id', _nodes, coalesce(index.part, 0)));
END
$_plaid_branch$;

COMMENT ON FUNCTION colbert._plaid_branch(colbert._index) IS
  'Makes the upper nodes of the tree of centroids anew.';

-- below is SQL for points, with their ids, and the nodes above them, with their distances. A node gets the nearest ones, at most
-- twice as many as one of so many nodes has on average: the points of the largest would be columns of the others, too. A row
-- of a statement has at most 1,664 columns.
CREATE OR REPLACE FUNCTION colbert._plaid_add_nodes(index colbert._index, level integer, nodes integer, below text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_add_nodes$
BEGIN
  PERFORM colbert._plaid_run(format(
    'INSERT INTO %s (part, level, id, ids, points) '
    'SELECT %s, %s, b.node, array_agg(b.id), array_agg(b.point) '
    '  FROM (SELECT b.*, row_number() OVER (PARTITION BY b.node ORDER BY b.distance) AS rank, count(*) OVER () AS points '
    '          FROM (%s) AS b) AS b '
    ' WHERE b.rank <= least(1500, 1 + 2 * b.points / %s) GROUP BY b.node',
    colbert._derived_table(index, 'nodes'), coalesce(index.part, 0), level, below, nodes));
END
$_plaid_add_nodes$;

COMMENT ON FUNCTION colbert._plaid_add_nodes(colbert._index, integer, integer, text) IS
  'Makes the nodes of a level of the tree of centroids.';

-- Those that are nearest to no point stay where they are.
CREATE OR REPLACE FUNCTION colbert._plaid_move_nodes(index colbert._index, nodes text, below text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_move_nodes$
BEGIN
  PERFORM colbert._plaid_run(format('UPDATE pg_temp.%I AS n SET point = m.centroid FROM (%s) AS m WHERE m.id = n.id',
                                    nodes, colbert._plaid_means_sql(index, below)));
END
$_plaid_move_nodes$;

COMMENT ON FUNCTION colbert._plaid_move_nodes(colbert._index, text, text) IS
  'Moves nodes in a temporary table to the means of the points that are nearest to them.';

CREATE OR REPLACE FUNCTION colbert._plaid_fell_tree(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_fell_tree$
BEGIN
  EXECUTE format('DELETE FROM %s AS n WHERE n.part = $1', colbert._derived_table(index, 'nodes')) USING coalesce(index.part, 0);
END
$_plaid_fell_tree$;

COMMENT ON FUNCTION colbert._plaid_fell_tree(colbert._index) IS
  'Takes the tree of the centroids of an index away, or that of a part.';

-- When a build is done, the disk space of the trees goes, too, unless somebody is at work on the table, such as pg_dump.
CREATE OR REPLACE FUNCTION colbert._plaid_clear_trees(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '200ms'
AS $_plaid_clear_trees$
DECLARE
  _nodes regclass := colbert._derived_table(index, 'nodes');
BEGIN
  EXECUTE format('TRUNCATE %s', _nodes);
EXCEPTION WHEN lock_not_available THEN
  EXECUTE format('DELETE FROM %s', _nodes);
END
$_plaid_clear_trees$;

COMMENT ON FUNCTION colbert._plaid_clear_trees(colbert._index) IS
  'Takes the trees of centroids away, when a build is done.';
