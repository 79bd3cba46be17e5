-- SQL for the rows of a source, or of a part of it, as a relation (doc_id, <name>), where <name> is what the SQL expression value gives. The
-- rows are those that meet the filter, the caller's own SQL condition over the columns of the source. It takes its
-- values from the jsonb params, which are $2 in the statement.
CREATE OR REPLACE FUNCTION colbert._source_rows_sql(
  index colbert._index, name name, value text, filter text DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_source_rows_sql$
BEGIN
  RETURN format(
    '(SELECT d.doc_id, d.%1$I'
    '   FROM (SELECT $2 AS params) AS args'
    '  CROSS JOIN LATERAL (SELECT %2$I AS doc_id, %3$s AS %1$I FROM %4$s%5$s) AS d)',
    name, index.key, value, index.source,
    ' WHERE ' || nullif(concat_ws(' AND ', colbert._in_part_sql(index, index.source::text), '(' || filter || E'\n)'), ''));
END
$_source_rows_sql$;

COMMENT ON FUNCTION colbert._source_rows_sql(colbert._index, name, text, text) IS
  'SQL for the rows of a source that meet a filter, as a relation of doc_id and one value.';
