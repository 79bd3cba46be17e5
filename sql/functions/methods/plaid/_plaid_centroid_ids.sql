-- The centroids under which a document is filed.
CREATE OR REPLACE FUNCTION colbert._plaid_centroid_ids(index colbert._index, embeddings anyarray)
RETURNS integer[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
COST 1000000
SET search_path = pg_catalog, pg_temp
AS $_plaid_centroid_ids$
BEGIN
  RETURN ARRAY(SELECT DISTINCT n.id
                 FROM unnest(colbert._plaid_nearest(colbert._plaid_near_sql(index, 2), embeddings)) AS n (id)
                ORDER BY n.id);
END
$_plaid_centroid_ids$;

COMMENT ON FUNCTION colbert._plaid_centroid_ids(colbert._index, anyarray) IS
  'The ids of the centroids under which a document is filed, each once.';
