-- The tables of a build that are there and belong to the index.
CREATE OR REPLACE FUNCTION colbert._build_tables(index colbert._index)
RETURNS SETOF regclass
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT t
    FROM colbert._build AS b
   CROSS JOIN LATERAL colbert._derived_tables(colbert._built_index(index, b)) AS t
   WHERE b.index_id = index.id;
END;

COMMENT ON FUNCTION colbert._build_tables(colbert._index) IS
  'The tables that are being filled for an index, or that it had before; none where nothing is being built.';
