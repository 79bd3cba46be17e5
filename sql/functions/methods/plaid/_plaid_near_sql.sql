-- SQL for the centroids c among which those nearest to q.token are, for a FROM clause whose ORDER BY says which those are:
-- all of an index, which pgvector's index on them finds; or of a part, those of its nearest lists.
--
-- The registry says which tables these are. Whether they are still there is for the caller to find out, once: this is called
-- for each document that is written.
CREATE OR REPLACE FUNCTION colbert._plaid_near_sql(index colbert._index, lists integer)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_near_sql$
BEGIN
  RETURN CASE
    WHEN index.part IS NULL THEN format('%s AS c', colbert._registered_table(index, 'centroids'))
    ELSE format('(SELECT l.id FROM %s AS l WHERE l.part OPERATOR(pg_catalog.=) %s'
                '  ORDER BY l.centre OPERATOR(%I.<#>) q.token LIMIT %s) AS l'
                ' JOIN %s AS c ON c.list_id OPERATOR(pg_catalog.=) l.id',
                colbert._registered_table(index, 'lists'), index.part, colbert._vector_schema(), lists,
                colbert._registered_table(index, 'centroids'))
  END;
END
$_plaid_near_sql$;

COMMENT ON FUNCTION colbert._plaid_near_sql(colbert._index, integer) IS
  'SQL for the centroids among which those nearest to a token are, of an index or of a part of it.';
