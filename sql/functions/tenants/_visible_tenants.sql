-- The tenants of whom a search sees documents, as text. Without an index that begins with the tenant, all rows are read for
-- that.
CREATE OR REPLACE FUNCTION colbert._visible_tenants(
  index colbert._index, filter text, params jsonb, search_path text)
RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $_visible_tenants$
DECLARE
  _rows text := colbert._source_rows_sql(index, 'tenant', quote_ident(colbert._tenant_column(index)), filter);
  _statement text := CASE WHEN colbert._leads_with_tenant(index) THEN 'SELECT ' || colbert._tenants_of_sql(_rows)
                          ELSE format('SELECT ARRAY(SELECT DISTINCT r.tenant FROM %s AS r)', _rows) END;
  _tenants text[];
BEGIN
  IF filter IS NOT NULL THEN
    PERFORM set_config('search_path', search_path, true);
  END IF;
  EXECUTE pg_catalog.format('SELECT (%s)::pg_catalog.text[]', _statement) INTO _tenants USING NULL::text, params;
  RETURN _tenants;
END
$_visible_tenants$;

COMMENT ON FUNCTION colbert._visible_tenants(colbert._index, text, jsonb, text) IS
  'The tenants of whom a search sees documents, as text.';

-- The parts that hold those documents. All tenants that have no part of their own are one.
CREATE OR REPLACE FUNCTION colbert._visible_parts(index colbert._index, visible text[])
RETURNS SETOF colbert._index
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_visible_parts$
DECLARE
  _part integer;
  _tenant text;
BEGIN
  FOR _part, _tenant IN
    EXECUTE format('SELECT t.part, t.tenant::text FROM %s AS t WHERE t.tenant = ANY ($1::%s[]) ORDER BY t.part',
                   colbert._derived_table(index, 'tenants'), colbert._tenant_type(index))
      USING visible
  LOOP
    index.part := _part;
    index.tenants := ARRAY[_tenant];
    visible := array_remove(visible, _tenant);
    RETURN NEXT index;
  END LOOP;
  IF cardinality(visible) > 0 THEN
    index.part := 0;
    index.tenants := visible;
    index.method := 'exact';
    RETURN NEXT index;
  END IF;
END
$_visible_parts$;

COMMENT ON FUNCTION colbert._visible_parts(colbert._index, text[]) IS
  'The parts of an index that hold the documents of some tenants; those without a part of their own are one.';
