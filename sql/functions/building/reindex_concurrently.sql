-- Builds an index anew while others read and write the table: new tables beside the old ones, in steps, with a commit
-- after each. Searches use the old tables until the new ones take their place. Writers and readers wait for no more than
-- a moment, and it waits for them as create_index_concurrently does. There has to be room for both sets of tables.
--
-- It cannot run inside a transaction block ("invalid transaction termination"). When it is interrupted, call it again,
-- or abandon it with abandon_reindex.
CREATE OR REPLACE PROCEDURE colbert.reindex_concurrently(source regclass, embeddings name DEFAULT NULL)
LANGUAGE plpgsql SECURITY INVOKER
AS $reindex_concurrently$
DECLARE
  _id pg_catalog.int4;
BEGIN
  COMMIT;
  _id := colbert._begin_rebuild(source, embeddings);
  CALL colbert._run_build(_id);
END
$reindex_concurrently$;

COMMENT ON PROCEDURE colbert.reindex_concurrently(regclass, name) IS
  'Builds an index anew while others write the table, with a commit after each step; not inside a transaction block. For the owner of the table.';
