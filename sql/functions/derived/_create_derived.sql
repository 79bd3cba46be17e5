-- Makes a table of derived data beside the source, and enters it in the registry with suffix as its name. The table
-- belongs to the source's owner, and is unlogged where the source is.
--
-- Everybody may read the table, and sees the rows of the documents that they may read in the source. The policy asks
-- the source, as the reader. What it asks for is the key and what the rows were derived from: the array, or where seen is
-- given that condition on the row s of the source. So row-level security and column privileges of the source hold for
-- derived data, too, and one GRANT, on the source, is all that a reader needs. Where no row-level security applies to the
-- reader, the right to read these columns answers for all rows: PostgreSQL checks it before anything runs. (OFFSET 0
-- keeps the planner from reading the whole source to answer for a few rows.)
--
-- Some rows are about no single document, such as the mean of tokens of many. They would tell a reader who may not see
-- all documents about the others, so such a reader sees none of them. (The subquery finds nothing. It is there for its
-- check of privileges.) Where the index is kept apart by tenant, such rows belong to a part, and a reader sees those of
-- tenants of whom they see some document. What a reader may see of a statement's rows is then found out once.
--
-- about: what the rows are about, by which they are shown
--
--   documents   one document each: column doc_id, and where the index is kept apart column tenant, as text
--   tenants     one tenant each: column tenant
--   parts       the documents of one tenant: column part, as in the table "tenants"
--   NULL        all documents
CREATE OR REPLACE FUNCTION colbert._create_derived(
  index colbert._index, suffix text, columns text, about text DEFAULT NULL, seen text DEFAULT NULL)
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
                 'USING ((SELECT NOT row_security_active(%2$L::regclass)) OR %3$s)',
                 _table, index.source,
                 colbert._shown_sql(index, _table, about, format('s.%I IS NOT NULL AND %s', index.key,
                                                                 coalesce(seen, format('s.%I IS NOT NULL', index.embeddings)))));
  PERFORM colbert._give_to_owner(index, 'TABLE ' || _table);
  UPDATE colbert._index AS i
     SET tables = i.tables || _table::regclass,
         table_names = colbert._table_names(i) || suffix
   WHERE i.id = index.id;
  RETURN _table::regclass;
END
$_create_derived$;

COMMENT ON FUNCTION colbert._create_derived(colbert._index, text, text, text, text) IS
  'Makes a table of derived data that shows each reader the rows of the documents they may read in the source.';

-- Where an index is kept apart, keys may be unique within a tenant only.
CREATE OR REPLACE FUNCTION colbert._is_document_sql(index colbert._index, derived text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN format('s.%I = %s.doc_id', index.key, derived)
       || coalesce(' AND s.' || quote_ident(colbert._tenant_column(index)) || '::text COLLATE "C" = ' || derived || '.tenant', '');

COMMENT ON FUNCTION colbert._is_document_sql(colbert._index, text) IS
  'SQL for whether the row s of the source is the document that a row of a derived table is about.';

-- visible is SQL for whether the reader sees what the rows were derived from in the row s of the source.
CREATE OR REPLACE FUNCTION colbert._shown_sql(index colbert._index, derived text, about text, visible text)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_shown_sql$
DECLARE
  _tenant name := colbert._tenant_column(index);
BEGIN
  RETURN CASE about
    WHEN 'documents' THEN
      format('EXISTS (SELECT FROM %s AS s WHERE %s AND %s OFFSET 0)',
             index.source, colbert._is_document_sql(index, derived), visible)
    WHEN 'tenants' THEN
      format('%s.tenant = ANY (%s)', derived,
             colbert._tenants_of_sql(format('(SELECT s.%I AS tenant FROM %s AS s WHERE %s)', _tenant, index.source, visible)))
    WHEN 'parts' THEN
      format('%s.part = ANY (ARRAY(SELECT t.part FROM %s AS t))', derived,
             (SELECT colbert._registered_table(i, 'tenants') FROM colbert._index AS i WHERE i.id = index.id))
    ELSE format('EXISTS (SELECT FROM %s AS s WHERE false AND %s OFFSET 0)', index.source, visible)
  END;
END
$_shown_sql$;

COMMENT ON FUNCTION colbert._shown_sql(colbert._index, text, text, text) IS
  'SQL for whether a row of a derived table is about what the reader may see in the source.';
