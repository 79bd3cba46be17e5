-- colbert.indexes is for everybody, and for every state that an index may be in: it reads the tables of an index only
-- when they are there, belong to the reader, and have no policy that would have to be asked.
CREATE OR REPLACE FUNCTION colbert._plaid_readable(index colbert._index)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT count(*) = 3 AND bool_and(colbert._is_own(t))
         AND colbert._is_own(index.source) AND NOT pg_catalog.row_security_active(index.source)
    FROM colbert._derived_tables(index) AS t
   WHERE t IN (colbert._registered_table(index, 'centroids'), colbert._registered_table(index, 'postings'),
               colbert._registered_table(index, 'documents'));
END;

COMMENT ON FUNCTION colbert._plaid_readable(colbert._index) IS
  'Whether the tables of a plaid index are there and the caller''s own.';
