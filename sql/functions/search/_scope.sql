-- What a search is limited to. The filter is the caller's own SQL condition over the columns of the source,
-- run with the caller's rights and under the caller's search_path; its values come as the jsonb params.
--
-- NULL and empty arrays are left out by their size: an empty array takes 16 bytes, one of a single
-- one-dimensional vector more than 24, and asking for the size does not fetch the array.
CREATE OR REPLACE FUNCTION colbert._scope(
  index colbert._index, filter text, params jsonb, search_path text)
RETURNS colbert._scope
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_scope$
DECLARE
  _scope colbert._scope;
BEGIN
  _scope.documents := format(
    '(SELECT d.doc_id, d.embeddings'
    '   FROM (SELECT $2 AS params) AS args'
    '  CROSS JOIN LATERAL (SELECT %I AS doc_id, %I AS embeddings FROM %s%s) AS d'
    '  WHERE pg_catalog.pg_column_size(d.embeddings) > 24)',
    index.key, index.embeddings, index.source, E' WHERE (' || filter || E'\n)');
  _scope.params := params;
  _scope.search_path := CASE WHEN filter IS NULL THEN current_setting('search_path') ELSE search_path END;
  _scope.restricted := filter IS NOT NULL OR row_security_active(index.source);
  RETURN _scope;
END
$_scope$;

COMMENT ON FUNCTION colbert._scope(colbert._index, text, jsonb, text) IS
  'The documents that a search may see: those of the source that meet the filter.';
