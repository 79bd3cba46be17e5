-- Whether workers encode the texts or pictures of an index. Any other index leaves the vectors to the writers.
CREATE OR REPLACE FUNCTION colbert._is_encoded(index colbert._index)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN index.options ?| ARRAY['text', 'pictures'];

COMMENT ON FUNCTION colbert._is_encoded(colbert._index) IS
  'Whether workers encode the texts or pictures of an index.';

-- The expression that is the text of an index, over the columns of the source, as PostgreSQL prints it. NULL where the
-- text is a column.
--
-- It is taken from the index of pending documents, which has it in a column of its own: (expression IS NULL). So it is
-- a single expression that PostgreSQL has checked, whatever somebody writes into the registry, and it follows columns
-- and functions that are renamed.
CREATE OR REPLACE FUNCTION colbert._text_expression(index colbert._index)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_text_expression$
BEGIN
  IF NOT index.options ? 'text' THEN
    RETURN NULL;
  END IF;
  RETURN (SELECT substring(pg_get_expr(i.indexprs, i.indrelid) FROM '^\((.*) IS NULL\)$')
            FROM pg_index AS i
           WHERE i.indexrelid = colbert._pending_index(index)
             AND cardinality(array_positions(i.indkey::int2[], 0::int2)) = 1);
END
$_text_expression$;

COMMENT ON FUNCTION colbert._text_expression(colbert._index) IS
  'The expression that is the text of an index; NULL where the text is a column.';

-- The column that workers encode, of texts or of pictures. NULL where there is none, and where the text is an expression.
CREATE OR REPLACE FUNCTION colbert._encoded_column(index colbert._index)
RETURNS name
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE WHEN colbert._text_expression(index) IS NULL
            THEN coalesce(index.options ->> 'text', index.options ->> 'pictures')::name END;

COMMENT ON FUNCTION colbert._encoded_column(colbert._index) IS
  'The column of an index that workers encode; NULL for one without, and where the text is an expression.';

-- Whether the text of an index is an expression, and the index of pending documents, which had it, is gone.
CREATE OR REPLACE FUNCTION colbert._lacks_expression(index colbert._index)
RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_lacks_expression$
BEGIN
  RETURN NOT colbert._names_column(index.source, index.options) AND colbert._text_expression(index) IS NULL;
END
$_lacks_expression$;

COMMENT ON FUNCTION colbert._lacks_expression(colbert._index) IS
  'Whether the text of an index is an expression that has gone with the index of pending documents.';

-- The columns of the source that an encoded document is made of, and that its reader must be allowed to read. Beside an
-- expression they are all that the index of pending documents is about, but for the array.
CREATE OR REPLACE FUNCTION colbert._encoded_columns(index colbert._index)
RETURNS name[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_encoded_columns$
BEGIN
  IF colbert._text_expression(index) IS NULL THEN
    RETURN array_remove(ARRAY[colbert._encoded_column(index)], NULL);
  END IF;
  RETURN ARRAY(SELECT DISTINCT a.attname
                 FROM pg_depend AS d
                 JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = colbert._pending_index(index)
                  AND d.refclassid = 'pg_class'::regclass
                  AND d.refobjid = index.source
                  AND a.attname <> index.embeddings
                ORDER BY a.attname);
END
$_encoded_columns$;

COMMENT ON FUNCTION colbert._encoded_columns(colbert._index) IS
  'The columns of the source that what workers encode is made of.';

-- What workers encode, as SQL: of the row s of the source, where no other is named. Names in an expression stand alone,
-- so no other relation may be in the same FROM.
CREATE OR REPLACE FUNCTION colbert._encoded_sql(index colbert._index, row_name text DEFAULT 's')
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN coalesce('(' || colbert._text_expression(index) || ')',
                coalesce(row_name || '.', '') || quote_ident(colbert._encoded_column(index)));

COMMENT ON FUNCTION colbert._encoded_sql(colbert._index, text) IS
  'SQL for what workers encode of a row of the source; NULL for an index that they do not encode.';
