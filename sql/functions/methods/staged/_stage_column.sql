-- The column of the first stage, where writers fill it: PostgreSQL fills generated columns.
CREATE OR REPLACE FUNCTION colbert._stage_column(index colbert._index)
RETURNS name
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT a.attname
    FROM pg_catalog.pg_attribute AS a
   WHERE a.attrelid = index.source
     AND a.attname = (index.options ->> 'first_stage')::name
     AND a.attgenerated = '';
END;

COMMENT ON FUNCTION colbert._stage_column(colbert._index) IS
  'The column of the first stage that writers fill; NULL without one, and for a generated column.';
