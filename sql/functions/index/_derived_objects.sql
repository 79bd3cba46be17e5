-- What an index has beside its source and its triggers: the trigger function, the tables, and the index of pending
-- documents.
CREATE OR REPLACE FUNCTION colbert._derived_objects(index colbert._index)
RETURNS TABLE (kind text, name text, owner oid)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_derived_objects$
BEGIN
  RETURN QUERY
    SELECT 'FUNCTION', p.oid::regprocedure::text, p.proowner
      FROM pg_proc AS p
     WHERE p.proname = format('colbert_sync_%s', index.id)
       AND p.pronargs = 0
       AND obj_description(p.oid, 'pg_proc') = colbert._derived_comment(index)
    UNION ALL
    SELECT 'TABLE', t::text, c.relowner
      FROM colbert._derived_tables(index) AS t
      JOIN pg_class AS c ON c.oid = t
    UNION ALL
    SELECT 'TABLE', t::text, c.relowner
      FROM colbert._build_tables(index) AS t
      JOIN pg_class AS c ON c.oid = t
    UNION ALL
    SELECT 'INDEX', p::text, c.relowner
      FROM colbert._pending_index(index) AS p
      JOIN pg_class AS c ON c.oid = p;
END
$_derived_objects$;

COMMENT ON FUNCTION colbert._derived_objects(colbert._index) IS
  'The trigger function, the tables and the index of pending documents that are there, and their owners.';
