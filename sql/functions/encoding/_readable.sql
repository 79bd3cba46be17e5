-- Whether the caller may read the pending documents of an index, and they are there to be read.
CREATE OR REPLACE FUNCTION colbert._readable(index colbert._index)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE
         WHEN NOT colbert._is_encoded(index)
              OR EXISTS (SELECT
                           FROM unnest(ARRAY[index.key, index.embeddings] || colbert._encoded_columns(index)) AS c (name)
                           LEFT JOIN pg_catalog.pg_attribute AS a
                                  ON a.attrelid = index.source AND a.attname = c.name
                          WHERE has_column_privilege(index.source, a.attnum, 'SELECT') IS NOT TRUE)
         THEN false
         ELSE (colbert._index_state(index)).state <> 'broken'
       END;

COMMENT ON FUNCTION colbert._readable(colbert._index) IS
  'Whether the caller may read the pending documents of an index.';
