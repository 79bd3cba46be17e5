CREATE OR REPLACE FUNCTION colbert._count_matching(scope colbert._scope, at_most bigint)
RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_count_matching$
DECLARE
  _matching bigint;
BEGIN
  PERFORM set_config('search_path', scope.search_path, true);
  EXECUTE pg_catalog.format(
    'SELECT pg_catalog.count(*) FROM (SELECT FROM %s AS d LIMIT $1) AS m',
    scope.documents)
     INTO _matching
    USING at_most, scope.params;
  RETURN _matching;
END
$_count_matching$;

COMMENT ON FUNCTION colbert._count_matching(colbert._scope, bigint) IS
  'How many documents a search may see, counted no further than at_most.';
