-- Whether the column that workers encode holds pictures as bytes. Other pictures are paths.
CREATE OR REPLACE FUNCTION colbert._has_picture_bytes(index colbert._index)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
                  WHERE a.attrelid = index.source
                    AND a.attname = colbert._encoded_column(index)
                    AND colbert._base_type(a.atttypid) = 'pg_catalog.bytea'::regtype);
END;

COMMENT ON FUNCTION colbert._has_picture_bytes(colbert._index) IS
  'Whether the column that workers encode holds pictures as bytes.';
