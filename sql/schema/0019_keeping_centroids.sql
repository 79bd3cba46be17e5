-- 0.3.0: indexes that are built anew without being trained anew
DROP FUNCTION IF EXISTS colbert.reindex(regclass, name);
DROP PROCEDURE IF EXISTS colbert.reindex_concurrently(regclass, name);
DROP FUNCTION IF EXISTS colbert._method_rebuild(colbert._index);
DROP FUNCTION IF EXISTS colbert._plaid_rebuild(colbert._index);

COMMENT ON COLUMN colbert._build.keeps IS
  'Whether centroids, and parts of an index that have not outgrown it, are taken over as they are.';
