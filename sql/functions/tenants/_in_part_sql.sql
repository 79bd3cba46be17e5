-- SQL for whether a row of the source belongs to a part of an index: NULL, which format() leaves out, for a whole index.
CREATE OR REPLACE FUNCTION colbert._in_part_sql(index colbert._index, source_row text)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_in_part_sql$
BEGIN
  RETURN CASE
    WHEN index.part IS NULL THEN NULL
    WHEN index.tenants IS NULL THEN
      format('NOT EXISTS (SELECT FROM %s AS t WHERE t.tenant OPERATOR(pg_catalog.=) %s.%I)',
             colbert._derived_table(index, 'tenants'), source_row, colbert._tenant_column(index))
    ELSE format('%s.%I OPERATOR(pg_catalog.=) ANY (%L::%s[])',
                source_row, colbert._tenant_column(index), index.tenants, colbert._tenant_type(index))
  END;
END
$_in_part_sql$;

COMMENT ON FUNCTION colbert._in_part_sql(colbert._index, text) IS
  'SQL for whether a row of the source belongs to a part of an index; NULL for a whole index.';

-- SQL for the rows of the source that an index, or a part of it, is derived from.
CREATE OR REPLACE FUNCTION colbert._source_sql(index colbert._index)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_source_sql$
BEGIN
  RETURN CASE WHEN index.part IS NULL THEN index.source::text
              ELSE format('(SELECT s.* FROM %s AS s WHERE %s)', index.source, colbert._in_part_sql(index, 's')) END;
END
$_source_sql$;

COMMENT ON FUNCTION colbert._source_sql(colbert._index) IS
  'SQL for the rows of the source that an index, or a part of it, is derived from.';
