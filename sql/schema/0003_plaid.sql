-- 0.2.0: the method plaid
ALTER TABLE colbert._index
  DROP CONSTRAINT _index_method_check,
  ADD CONSTRAINT _index_method_check CHECK (method IN ('exact', 'hnsw', 'ivfflat', 'plaid'));
DROP FUNCTION IF EXISTS colbert._keys_in_scope(colbert._index, colbert._scope, text[]);
