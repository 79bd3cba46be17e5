-- The partial index on the source that holds the keys of its pending documents.
CREATE OR REPLACE FUNCTION colbert._pending_index(index colbert._index)
RETURNS regclass
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT i.indexrelid::regclass
    FROM pg_catalog.pg_index AS i
   WHERE i.indrelid = index.source
     AND obj_description(i.indexrelid, 'pg_class') = colbert._derived_comment(index);
END;

COMMENT ON FUNCTION colbert._pending_index(colbert._index) IS
  'The index on the source that holds the keys of pending documents.';

-- Workers take them in this order. Where the index is kept apart, a role that sees one tenant reads what belongs to that
-- one alone.
CREATE OR REPLACE FUNCTION colbert._pending_order_sql(index colbert._index, prefix text DEFAULT '')
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN concat_ws(', ', prefix || quote_ident(colbert._tenant_column(index)), prefix || quote_ident(index.key));

COMMENT ON FUNCTION colbert._pending_order_sql(colbert._index, text) IS
  'SQL for the columns of the source by which its pending documents are ordered.';
