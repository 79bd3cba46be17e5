-- 0.3.0: the tables of an index have names
ALTER TABLE colbert._index ADD COLUMN table_names text[];
COMMENT ON COLUMN colbert._index.tables IS 'The tables of derived data.';
COMMENT ON COLUMN colbert._index.table_names IS
  'Their names, one for each: centroids, postings and so on. NULL in rows of 0.1.0 and 0.2.0: see the function colbert._table_names.';
GRANT INSERT (table_names), UPDATE (table_names) ON colbert._index TO PUBLIC;
