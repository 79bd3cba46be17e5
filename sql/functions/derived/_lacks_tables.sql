-- Whether somebody dropped a table of the index, or took its comment away.
CREATE OR REPLACE FUNCTION colbert._lacks_tables(index colbert._index)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT count(*) < cardinality(index.tables) FROM colbert._derived_tables(index);
END;

COMMENT ON FUNCTION colbert._lacks_tables(colbert._index) IS
  'Whether a table of an index was dropped.';
