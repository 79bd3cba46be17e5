-- SQL for an array of the tenants of a relation (tenant): the least, and then the next above it, until there is none. With
-- an index that begins with the tenant it looks up each tenant once, however many rows there are. PostgreSQL has no plan
-- of its own for that (https://wiki.postgresql.org/wiki/Loose_indexscan). Policies of derived tables have it, too. It needs
-- enable_seqscan = off: the planner believes that the first row of a scan of the whole table comes soon.
CREATE OR REPLACE FUNCTION colbert._tenants_of_sql(relation text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN format(
  'ARRAY(WITH RECURSIVE seen (tenant) AS ('
  '  (SELECT r.tenant FROM %1$s AS r ORDER BY r.tenant LIMIT 1)'
  '  UNION ALL'
  '  SELECT (SELECT r.tenant FROM %1$s AS r WHERE r.tenant OPERATOR(pg_catalog.>) seen.tenant ORDER BY r.tenant LIMIT 1)'
  '    FROM seen WHERE seen.tenant IS NOT NULL)'
  ' SELECT seen.tenant FROM seen WHERE seen.tenant IS NOT NULL)',
  relation);

COMMENT ON FUNCTION colbert._tenants_of_sql(text) IS
  'SQL for an array of the tenants of a relation, each looked up once.';

CREATE OR REPLACE FUNCTION colbert._leads_with_tenant(index colbert._index)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT EXISTS (SELECT
                   FROM pg_catalog.pg_index AS i
                   JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                   JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
                   JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
                  WHERE i.indrelid = index.source
                    AND a.attname = colbert._tenant_column(index)
                    AND m.amname = 'btree' AND i.indisvalid AND i.indpred IS NULL);
END;

COMMENT ON FUNCTION colbert._leads_with_tenant(colbert._index) IS
  'Whether the source has an index that begins with the tenant.';
