-- 0.2.0: only the registry's own sequence gives out ids
-- A role could enter an index of its own table under the id that the next create_index of another role would
-- get, and so keep that role from creating one.
REVOKE INSERT, UPDATE ON colbert._index FROM PUBLIC;
GRANT INSERT (source, embeddings, key, method, options, dimensions, tables),
      UPDATE (source, embeddings, key, method, options, dimensions, tables)
   ON colbert._index TO PUBLIC;
