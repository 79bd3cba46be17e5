-- Builds an index anew while others read and write the table: new tables beside the old ones, in steps, with a commit
-- after each. Searches use the old tables until the new ones take their place. Writers and readers wait for no more than
-- a moment, and it waits for them as create_index_concurrently does. There has to be room for both sets of tables.
--
-- Without retrain, plaid copies its centroids, and what documents were filed under, instead of training and filing anew.
-- Documents get ordinals from 1 on. Where the index is kept apart, parts that have outgrown it are trained all the same.
--
-- It cannot run inside a transaction block ("invalid transaction termination"). When it is interrupted, call it again,
-- or abandon it with abandon_reindex.
CREATE OR REPLACE PROCEDURE colbert.reindex_concurrently(source regclass, embeddings name DEFAULT NULL, retrain boolean DEFAULT true)
LANGUAGE plpgsql SECURITY INVOKER
AS $reindex_concurrently$
DECLARE
  _id pg_catalog.int4;
BEGIN
  COMMIT;
  _id := colbert._begin_rebuild(source, embeddings, retrain IS FALSE);
  CALL colbert._run_build(_id);
END
$reindex_concurrently$;

COMMENT ON PROCEDURE colbert.reindex_concurrently(regclass, name, boolean) IS
  'Builds an index anew while others write the table, with a commit after each step; with retrain => false, from the centroids that are there. Not inside a transaction block. For the owner of the table.';
