-- Makes a table of derived data beside the source, and enters it in the registry with suffix as its name. The table
-- belongs to the source's owner, and is unlogged where the source is. doc_id is its column of keys, where it has one.
--
-- Everybody may read the table, and sees the rows of the documents that they may read in the source. The policy asks
-- the source, as the reader. What it asks for is the key and the column that the rows were derived from: the array, or
-- seen where that is given. So row-level security and column privileges of the source hold for derived data, too, and
-- one GRANT, on the source, is all that a reader needs. Where no row-level security applies to the reader, the right to
-- read both columns answers for all rows: PostgreSQL checks it before anything runs. (OFFSET 0 keeps the planner from
-- reading the whole source to answer for a few rows.)
--
-- Some rows are about no single document, such as the mean of tokens of many. They would tell a reader who may not see
-- all documents about the others, so such a reader sees none of them. (The subquery finds nothing. It is there for its
-- check of privileges.)
CREATE OR REPLACE FUNCTION colbert._create_derived(
  index colbert._index, suffix text, columns text, doc_id text DEFAULT NULL, seen name DEFAULT NULL)
RETURNS regclass
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_create_derived$
DECLARE
  _source pg_class := (SELECT c FROM pg_class AS c WHERE c.oid = index.source);
  _table text := format('%s.%I', _source.relnamespace::regnamespace,
                        colbert._derived_name(index.source, index.embeddings, suffix));
BEGIN
  EXECUTE format('CREATE %s TABLE %s (%s)',
                 CASE _source.relpersistence WHEN 'u' THEN 'UNLOGGED' END, _table, columns);
  EXECUTE format('COMMENT ON TABLE %s IS %L', _table, colbert._derived_comment(index));
  EXECUTE format('REVOKE ALL ON TABLE %1$s FROM PUBLIC; GRANT SELECT ON TABLE %1$s TO PUBLIC', _table);
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', _table);
  EXECUTE format('CREATE POLICY readers_of_source ON %1$s FOR SELECT '
                 'USING ((SELECT NOT row_security_active(%2$L::regclass)) OR EXISTS '
                 '(SELECT FROM %2$s AS s WHERE %3$s AND s.%4$I IS NOT NULL AND s.%5$I IS NOT NULL OFFSET 0))',
                 _table, index.source,
                 CASE WHEN doc_id IS NULL THEN 'false'
                      ELSE format('s.%I = %s.%I', index.key, _table, doc_id) END,
                 index.key, coalesce(seen, index.embeddings));
  PERFORM colbert._give_to_owner(index, 'TABLE ' || _table);
  UPDATE colbert._index AS i
     SET tables = i.tables || _table::regclass,
         table_names = colbert._table_names(i) || suffix
   WHERE i.id = index.id;
  RETURN _table::regclass;
END
$_create_derived$;

COMMENT ON FUNCTION colbert._create_derived(colbert._index, text, text, text, name) IS
  'Makes a table of derived data that shows each reader the rows of the documents they may read in the source.';
