-- 0.3.0: indexes whose candidates come from the index of another column
ALTER TABLE colbert._index
  DROP CONSTRAINT _index_method_check,
  ADD CONSTRAINT _index_method_check CHECK (method IN ('exact', 'hnsw', 'ivfflat', 'plaid', 'shards', 'staged'));
