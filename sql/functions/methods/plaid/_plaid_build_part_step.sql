-- The first step finds the tenants that get a part, the largest first. Each step after that trains and files one part. The
-- last one makes the planner see them.
CREATE OR REPLACE FUNCTION colbert._plaid_build_part_step(index colbert._index, step integer, steps integer)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_build_part_step$
DECLARE
  _tenants regclass := colbert._derived_table(index, 'tenants');
  _documents regclass := colbert._derived_table(index, 'documents');
  _postings regclass := colbert._derived_table(index, 'postings');
  _tenant text;
  _part colbert._index;
BEGIN
  IF step = 1 THEN
    EXECUTE format('INSERT INTO %s (tenant) SELECT t.tenant FROM (%s) AS t ORDER BY t.documents DESC LIMIT $1',
                   _tenants, colbert._plaid_large_tenants_sql(index))
      USING steps - 2;
    EXECUTE format('ANALYZE %s', _tenants);
    RETURN;
  ELSIF step = steps THEN
    EXECUTE format('ANALYZE %s, %s, %s, %s, %s', _tenants, _documents, _postings,
                   colbert._derived_table(index, 'lists'), colbert._derived_table(index, 'centroids'));
    RETURN;
  END IF;

  EXECUTE format('SELECT t.tenant::text FROM %s AS t ORDER BY t.part OFFSET $1 - 2 LIMIT 1', _tenants)
     INTO _tenant
    USING step;
  IF _tenant IS NULL THEN
    RETURN;  -- there are fewer than there were when the steps were counted
  END IF;
  _part := colbert._part_of(index, _tenant);
  PERFORM colbert._plaid_train(_part);
  EXECUTE format('INSERT INTO %s (doc_id, tokens, centroid_ids, digest, part) '
                 'SELECT a.doc_id::%s, a.tokens, a.centroid_ids, a.digest, $2 FROM colbert._plaid_filed($1, 1, 1) AS a',
                 _documents, (colbert._source_types(index)).key_type)
    USING _part, _part.part;
  EXECUTE format('INSERT INTO %s (centroid_id, ordinal, part) '
                 'SELECT unnest(d.centroid_ids) AS centroid_id, d.ordinal, d.part FROM %s AS d WHERE d.part = $1 ORDER BY 1, 2',
                 _postings, _documents)
    USING _part.part;
  EXECUTE format('UPDATE %s AS t '
                 '   SET documents = d.documents, postings = d.postings, '
                 '       centroids = (SELECT count(*) FROM %s AS c JOIN %s AS l ON l.id = c.list_id WHERE l.part = $1) '
                 '  FROM (SELECT count(*) AS documents, coalesce(sum(cardinality(d.centroid_ids)), 0) AS postings '
                 '          FROM %s AS d WHERE d.part = $1) AS d '
                 ' WHERE t.part = $1',
                 _tenants, colbert._derived_table(index, 'centroids'), colbert._derived_table(index, 'lists'), _documents)
    USING _part.part;
END
$_plaid_build_part_step$;

COMMENT ON FUNCTION colbert._plaid_build_part_step(colbert._index, integer, integer) IS
  'Finds the tenants that get a part of the index, or builds one part.';

CREATE OR REPLACE FUNCTION colbert._plaid_large_tenants_sql(index colbert._index)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN format(
  'SELECT s.%1$I AS tenant, count(*) AS documents FROM %2$s AS s WHERE pg_column_size(s.%3$I) > 24 '
  ' GROUP BY s.%1$I HAVING count(*) >= %4$s',
  colbert._tenant_column(index), index.source, index.embeddings, colbert._plaid_few_documents());

COMMENT ON FUNCTION colbert._plaid_large_tenants_sql(colbert._index) IS
  'SQL for the tenants with enough documents for a part of the index, and how many they have.';

CREATE OR REPLACE FUNCTION colbert._plaid_large_tenants(index colbert._index)
RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_large_tenants$
DECLARE
  _count integer;
BEGIN
  IF colbert._tenant_column(index) IS NOT NULL THEN
    EXECUTE format('SELECT count(*) FROM (%s) AS t', colbert._plaid_large_tenants_sql(index)) INTO _count;
  END IF;
  RETURN _count;
END
$_plaid_large_tenants$;

COMMENT ON FUNCTION colbert._plaid_large_tenants(colbert._index) IS
  'How many tenants have enough documents for a part of the index; NULL where it is not kept apart.';
