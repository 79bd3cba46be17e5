-- The tenants of whom a search sees documents, as text. Without an index that begins with the tenant, all rows are read for
-- that.
CREATE OR REPLACE FUNCTION colbert._visible_tenants(
  index colbert._index, filter text, params jsonb, search_path text)
RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET jit = off
SET enable_seqscan = on
AS $_visible_tenants$
DECLARE
  _statement text := colbert._visible_tenants_sql(index, filter);
  _tenants text[];
BEGIN
  PERFORM colbert._refuse_filter(index.source, filter, params),
          set_config('enable_seqscan', (NOT colbert._leads_with_tenant(index))::text, true);
  IF filter IS NOT NULL THEN
    PERFORM set_config('search_path', search_path, true);
  END IF;
  EXECUTE _statement INTO _tenants USING NULL::text, params;
  RETURN _tenants;
END
$_visible_tenants$;

COMMENT ON FUNCTION colbert._visible_tenants(colbert._index, text, jsonb, text) IS
  'The tenants of whom a search sees documents, as text.';

CREATE OR REPLACE FUNCTION colbert._visible_tenants_sql(index colbert._index, filter text)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_visible_tenants_sql$
DECLARE
  _rows text := colbert._source_rows_sql(index, 'tenant', quote_ident(colbert._tenant_column(index)), filter);
BEGIN
  RETURN format('SELECT (%s)::pg_catalog.text[]',
                CASE WHEN colbert._leads_with_tenant(index) THEN colbert._tenants_of_sql(_rows)
                     ELSE format('ARRAY(SELECT DISTINCT r.tenant FROM %s AS r)', _rows) END);
END
$_visible_tenants_sql$;

COMMENT ON FUNCTION colbert._visible_tenants_sql(colbert._index, text) IS
  'SQL for the tenants of whom a search sees documents.';

-- Whether the filter or row-level security is a condition that the index looks up. Then the plan has a condition on the
-- tenant beside that of the recursion, which goes from one tenant to the next. How many rows are read otherwise is not
-- said: it would tell of rows that the caller does not see.
CREATE OR REPLACE FUNCTION colbert._looks_tenants_up(index colbert._index, filter text, params jsonb, search_path text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $_looks_tenants_up$
DECLARE
  _statement text := 'EXPLAIN (FORMAT JSON) ' || colbert._visible_tenants_sql(index, filter);
  _plan json;
BEGIN
  IF filter IS NOT NULL THEN
    PERFORM set_config('search_path', search_path, true);
  END IF;
  EXECUTE _statement INTO _plan USING NULL::pg_catalog.text, params;
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  RETURN EXISTS (SELECT
                   FROM jsonb_path_query(_plan::jsonb, '$.**."Index Cond"') AS c
                  WHERE strpos(c #>> '{}', colbert._tenant_column(index)) > 0
                    AND (strpos(c #>> '{}', 'seen.tenant') = 0 OR strpos(c #>> '{}', ' AND ') > 0));
END
$_looks_tenants_up$;

COMMENT ON FUNCTION colbert._looks_tenants_up(colbert._index, text, jsonb, text) IS
  'Whether what limits a search to some tenants is a condition that an index on them looks up.';
