-- Of a part, as it was when it was built; of a whole index, as the planner estimates it.
CREATE OR REPLACE FUNCTION colbert._plaid_size(
  index colbert._index, OUT documents float8, OUT centroids float8, OUT postings float8)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $_plaid_size$
BEGIN
  IF index.part > 0 THEN
    EXECUTE format('SELECT t.documents, t.centroids, t.postings FROM %s AS t WHERE t.part = $1 AND t.tenant = ANY ($2::%s[])',
                   colbert._derived_table(index, 'tenants'), colbert._tenant_type(index))
       INTO documents, centroids, postings
      USING index.part, index.tenants;
  ELSE
    documents := colbert._estimated_rows(colbert._registered_table(index, 'documents'));
    centroids := colbert._estimated_rows(colbert._registered_table(index, 'centroids'));
    postings := colbert._estimated_rows(colbert._registered_table(index, 'postings'));
  END IF;
  documents := greatest(1, documents);
  centroids := greatest(1, centroids);
  postings := greatest(1, postings);
END
$_plaid_size$;

COMMENT ON FUNCTION colbert._plaid_size(colbert._index) IS
  'About how many documents, centroids and postings a plaid index, or a part of one, has.';
