-- SQL for the nearest centroid of many tokens: columns id and token, as tokens has them, and centroid_id. The tree
-- (_plaid_build_tree) is walked from its root, with all tokens at once, and so many levels down; less than all of them give
-- nodes in place of centroids.
--
-- What takes a hundred nanoseconds as two rows that a join brings together takes twenty as two columns of one row. So the
-- points of a node become columns, p1, p2 and so on, NULL where it has fewer than others. They are compared with the token
-- in d1, d2 and so on, LEAST says how far the nearest is, and CASE which one it is. (OFFSET 0 has each computed once, and
-- trim_array has an array read once, and not for each of its elements.)
CREATE OR REPLACE FUNCTION colbert._plaid_descend_sql(index colbert._index, tokens text, levels integer DEFAULT 3)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_descend_sql$
DECLARE
  _nodes regclass := colbert._registered_table(index, 'nodes');
  _reached text := format('SELECT t.id, t.token, 0 AS node FROM (%s) AS t', tokens);
  _width integer;
BEGIN
  FOR _level IN 0 .. levels - 1 LOOP
    EXECUTE format('SELECT coalesce(max(cardinality(n.ids)), 1) FROM %s AS n WHERE n.part = $1 AND n.level = $2', _nodes)
       INTO _width
      USING coalesce(index.part, 0), _level;
    SELECT format(
             'SELECT l.id, l.token, l.ids[CASE l.least %4$s END] AS node '
             '  FROM (SELECT d.*, LEAST(%3$s) AS least '
             '          FROM (SELECT t.id, t.token, n.ids, %2$s '
             '                  FROM (%5$s) AS t '
             '                  JOIN (SELECT r.id, r.ids, %1$s '
             '                          FROM (SELECT n.id, n.ids, trim_array(n.points, 0) AS points '
             '                                  FROM %6$s AS n WHERE n.part = %7$s AND n.level = %8$s ORDER BY n.id OFFSET 0) AS r '
             '                         ORDER BY r.id OFFSET 0) AS n ON n.id = t.node OFFSET 0) AS d OFFSET 0) AS l OFFSET 0',
             string_agg(format('r.points[%1$s] AS p%1$s', i), ', '),
             string_agg(format('n.p%1$s OPERATOR(%2$I.<#>) t.token AS d%1$s', i, colbert._vector_schema()), ', '),
             string_agg(format('d%s', i), ', '),
             string_agg(format('WHEN l.d%1$s THEN %1$s', i), ' '),
             _reached, _nodes, coalesce(index.part, 0), _level)
      INTO _reached
      FROM generate_series(1, _width) AS i;
  END LOOP;
  RETURN format('SELECT r.id, r.token, r.node AS centroid_id FROM (%s) AS r', _reached);
END
$_plaid_descend_sql$;

COMMENT ON FUNCTION colbert._plaid_descend_sql(colbert._index, text, integer) IS
  'SQL for the nearest centroid of many tokens at once, by the tree of the centroids.';

CREATE OR REPLACE FUNCTION colbert._plaid_failed(state text, message text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_failed$
BEGIN
  RAISE EXCEPTION '%', message
    USING ERRCODE = state,
          HINT = 'This happened while centroids were trained, or documents filed under them.';
END
$_plaid_failed$;

COMMENT ON FUNCTION colbert._plaid_failed(text, text) IS
  'Raises an error again, without the statement that it was in.';

-- Runs such a statement. The tokens are sorted by the node that they have come to, and merged with the nodes: so the points
-- of a node stay in the processor's cache until all its tokens are compared. (The planner knows neither how wide nodes are
-- nor how many tokens come to each.) The settings are for this statement alone: under them, PostgreSQL would find the plans
-- that it keeps for queries of other functions too dear, and make them anew in each search of the session.
--
-- An error tells what it says, and not where: that would be the statement, hundreds of kilobytes of it.
CREATE OR REPLACE FUNCTION colbert._plaid_run(statement text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_nestloop = off
SET enable_hashjoin = off
SET jit = off
AS $_plaid_run$
BEGIN
  EXECUTE statement;
EXCEPTION WHEN OTHERS OR query_canceled THEN
  PERFORM colbert._plaid_failed(SQLSTATE, SQLERRM);
END
$_plaid_run$;

COMMENT ON FUNCTION colbert._plaid_run(text) IS
  'Runs a statement that walks the tree of centroids.';
