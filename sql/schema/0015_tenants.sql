-- 0.3.0: what an index derives can be kept apart by tenant
ALTER TABLE colbert._index
  ADD COLUMN part integer CHECK (part IS NULL),
  ADD COLUMN tenants text[] CHECK (tenants IS NULL);
COMMENT ON COLUMN colbert._index.part IS
  'NULL in the table. A value of the row type has a number here where it stands for a part of the index: see the function colbert._part_of.';
COMMENT ON COLUMN colbert._index.tenants IS 'NULL in the table. The tenants of the part.';

-- Functions whose arguments are others
DROP FUNCTION IF EXISTS colbert._create_derived(colbert._index, text, text, text, name);
DROP FUNCTION IF EXISTS colbert._plaid_nearest(regclass, anyarray);
DROP FUNCTION IF EXISTS colbert._sync(integer, text, anyarray, text, anyarray);
DROP FUNCTION IF EXISTS colbert._begin_pass(colbert._index, vector[]);
DROP FUNCTION IF EXISTS colbert._key_column(regclass, name);
DROP FUNCTION IF EXISTS colbert._sync_text(integer, text);
DROP FUNCTION IF EXISTS colbert._forget_attempts(colbert._index, text);
DROP FUNCTION IF EXISTS colbert._by_key_sql(colbert._index, vector[], text);
ALTER TYPE colbert._scope ADD ATTRIBUTE filtered boolean;
COMMENT ON COLUMN colbert._scope.filtered IS 'Whether there is a filter.';
