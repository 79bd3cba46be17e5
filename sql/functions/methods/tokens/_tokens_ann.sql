-- pgvector's own indexes on a token table that searches can use.
CREATE OR REPLACE FUNCTION colbert._tokens_ann(index colbert._index)
RETURNS regclass[]
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT array_agg(i.indexrelid::regclass)
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
   WHERE i.indrelid = colbert._registered_table(index, 'tokens')
     AND i.indisvalid
     AND m.amname = index.method;
END;

COMMENT ON FUNCTION colbert._tokens_ann(colbert._index) IS
  'The valid hnsw or ivfflat indexes on a token table.';
