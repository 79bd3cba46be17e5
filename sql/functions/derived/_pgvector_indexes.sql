-- pgvector's own indexes on a derived table, as far as searches can use them, the newest first. While one is built anew
-- there are two.
CREATE OR REPLACE FUNCTION colbert._pgvector_indexes(index colbert._index, table_name text, access_methods name[])
RETURNS regclass[]
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT array_agg(i.indexrelid::regclass ORDER BY i.indexrelid DESC)
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
   WHERE i.indrelid = colbert._registered_table(index, table_name)
     AND i.indisvalid
     AND m.amname = ANY (access_methods);
END;

COMMENT ON FUNCTION colbert._pgvector_indexes(colbert._index, text, name[]) IS
  'The valid indexes of pgvector on a table of an index, the newest first; NULL when there is none.';
