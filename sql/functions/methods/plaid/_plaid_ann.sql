CREATE OR REPLACE FUNCTION colbert._plaid_ann(index colbert._index)
RETURNS regclass
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT i.indexrelid::regclass
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
   WHERE i.indrelid = colbert._registered_table(index, 'centroids')
     AND i.indisvalid
     AND m.amname = 'ivfflat'
   ORDER BY i.indexrelid DESC
   LIMIT 1;
END;

COMMENT ON FUNCTION colbert._plaid_ann(colbert._index) IS
  'pgvector''s index on the centroids; NULL when there is none.';
