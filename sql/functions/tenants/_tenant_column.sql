-- Option tenant: see index/_option_types.sql. What is derived from the documents of one tenant is kept apart from what is
-- derived from those of others: it is a part of the index.
CREATE OR REPLACE FUNCTION colbert._tenant_column(index colbert._index)
RETURNS name
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN (index.options ->> 'tenant')::name;

COMMENT ON FUNCTION colbert._tenant_column(colbert._index) IS
  'The column by which an index is kept apart; NULL for an index without one.';

CREATE OR REPLACE FUNCTION colbert._tenant_type(index colbert._index)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tenant_type$
DECLARE
  _type text := (SELECT colbert._type_name(a.atttypid) FROM pg_attribute AS a
                  WHERE a.attrelid = index.source AND a.attname = colbert._tenant_column(index) AND NOT a.attisdropped);
BEGIN
  IF _type IS NULL THEN
    RAISE EXCEPTION 'column "%" of the index on "%" is not there any more', colbert._tenant_column(index), index.source
      USING ERRCODE = 'undefined_column',
            HINT = 'Was it renamed? Name it as it was, or drop the index with colbert.drop_index and create it anew.';
  END IF;
  RETURN _type;
END
$_tenant_type$;

COMMENT ON FUNCTION colbert._tenant_type(colbert._index) IS
  'The type of the column by which an index is kept apart, with its schema.';

CREATE OR REPLACE FUNCTION colbert._tenant_collation_sql(index colbert._index)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT ' COLLATE ' || a.attcollation::regcollation::text
    FROM pg_catalog.pg_attribute AS a
   WHERE a.attrelid = index.source AND a.attname = colbert._tenant_column(index) AND a.attcollation <> 0;
END;

COMMENT ON FUNCTION colbert._tenant_collation_sql(colbert._index) IS
  'SQL for the collation of the column by which an index is kept apart; NULL for a type without one.';
