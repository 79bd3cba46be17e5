-- The part of an index that a tenant's documents belong to: the index, with the number of the part and the tenant. All
-- that works on an index works on a part of it: reads its rows of the source alone, and its rows of the derived tables.
--
-- A tenant with few documents has no part of its own. Nothing is derived from them, and searches score them all: part 0,
-- of the method exact. An index that is not kept apart is its own only part.
CREATE OR REPLACE FUNCTION colbert._part_of(index colbert._index, tenant text)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_part_of$
BEGIN
  IF colbert._tenant_column(index) IS NULL THEN
    RETURN index;
  ELSIF tenant IS NULL THEN
    RAISE EXCEPTION 'a document of table "%" has no tenant', index.source
      USING ERRCODE = 'not_null_violation',
            HINT = format('Column "%s" keeps the index apart by tenant and must not be NULL.',
                          colbert._tenant_column(index));
  END IF;
  IF NOT colbert._method_is_exact(index.method) THEN
    EXECUTE format('SELECT t.part FROM %s AS t WHERE t.tenant = $1::%s',
                   colbert._derived_table(index, 'tenants'), colbert._tenant_type(index))
       INTO index.part
      USING tenant;
  END IF;
  index.tenants := ARRAY[tenant];
  IF index.part IS NULL THEN
    index.part := 0;
    index.method := 'exact';
  END IF;
  RETURN index;
END
$_part_of$;

COMMENT ON FUNCTION colbert._part_of(colbert._index, text) IS
  'The part of an index that a tenant''s documents belong to; the index itself where it is not kept apart.';

CREATE OR REPLACE FUNCTION colbert._part_of_document(index colbert._index, doc_id text)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_part_of_document$
DECLARE
  _tenant text;
BEGIN
  IF colbert._tenant_column(index) IS NULL THEN
    RETURN index;
  END IF;
  EXECUTE format('SELECT s.%I::text FROM %s AS s WHERE s.%I = $1::%s', colbert._tenant_column(index), index.source, index.key,
                 (colbert._source_types(index)).key_type)
     INTO _tenant
    USING doc_id;
  RETURN colbert._part_of(index, _tenant);
END
$_part_of_document$;

COMMENT ON FUNCTION colbert._part_of_document(colbert._index, text) IS
  'The part of an index that a document of the source belongs to.';

-- The parts that hold the documents of some tenants, or of all. Those of tenants who have no part of their own are one.
CREATE OR REPLACE FUNCTION colbert._parts(index colbert._index, of_tenants text[] DEFAULT NULL)
RETURNS SETOF colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $_parts$
DECLARE
  _part integer;
  _tenant text;
BEGIN
  IF colbert._tenant_column(index) IS NULL OR colbert._method_is_exact(index.method) THEN
    RETURN NEXT index;
    RETURN;
  END IF;
  FOR _part, _tenant IN
    EXECUTE format('SELECT t.part, t.tenant::text FROM %s AS t WHERE $1 IS NULL OR t.tenant = ANY ($1::%s[]) ORDER BY t.part',
                   colbert._derived_table(index, 'tenants'), colbert._tenant_type(index))
      USING of_tenants
  LOOP
    index.part := _part;
    index.tenants := ARRAY[_tenant];
    of_tenants := array_remove(of_tenants, _tenant);
    RETURN NEXT index;
  END LOOP;
  IF of_tenants <> '{}' OR of_tenants IS NULL THEN
    index.part := 0;
    index.tenants := of_tenants;
    index.method := 'exact';
    RETURN NEXT index;
  END IF;
END
$_parts$;

COMMENT ON FUNCTION colbert._parts(colbert._index, text[]) IS
  'The parts of an index that hold the documents of some tenants, or of all; the index itself where it is not kept apart.';
