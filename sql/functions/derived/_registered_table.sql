-- The names of an index's tables, in the order of index.tables: _create_derived writes them. Rows that 0.1.0 and 0.2.0
-- wrote have none, nor have rows that were restored from their dumps. The names of those follow from the method.
CREATE OR REPLACE FUNCTION colbert._table_names(index colbert._index)
RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN coalesce(
  index.table_names,
  colbert._method_table_names(index.method) || CASE WHEN index.options ? 'text' THEN '{attempts}'::text[] END);

COMMENT ON FUNCTION colbert._table_names(colbert._index) IS
  'The names of an index''s tables, in the order in which the registry has them.';

-- The registry's word alone. It is not proof that the table belongs to the index: see _derived_tables.
CREATE OR REPLACE FUNCTION colbert._registered_table(index colbert._index, name text)
RETURNS regclass
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN index.tables[array_position(colbert._table_names(index), name)];

COMMENT ON FUNCTION colbert._registered_table(colbert._index, text) IS
  'The table that the registry has under a name; NULL where it has none. It need not be there any more.';
