-- The tables of an index, the last that was made first: policies of later ones name earlier ones. The registry says which
-- they are, and the owner of a source may write its registry row. The tables' comments, which only the tables' owner can
-- write, say that they belong to this index. So nobody can be led to drop or change another table.
CREATE OR REPLACE FUNCTION colbert._derived_tables(index colbert._index)
RETURNS SETOF regclass
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT c.oid::regclass
    FROM unnest(index.tables) WITH ORDINALITY AS t (id, position)
    JOIN pg_catalog.pg_class AS c ON c.oid = t.id
   WHERE c.relkind = 'r'
     AND obj_description(c.oid, 'pg_class') = colbert._derived_comment(index)
   ORDER BY t.position DESC;
END;

COMMENT ON FUNCTION colbert._derived_tables(colbert._index) IS
  'The tables of an index that are there and are its own.';
