-- The attempts at encoding pending documents: the table "attempts" of an index with a column that workers encode. A
-- pending document is a row of the source with a text or picture and no array, and nothing else. It has a row here while a
-- worker is at it, or after it failed, which says when it is due again. So whatever is lost here is done again.
--
-- The table is written by whoever may write the array in the source and see the row.
CREATE OR REPLACE FUNCTION colbert._create_attempts(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_create_attempts$
DECLARE
  _table regclass;
BEGIN
  PERFORM colbert._create_pending_index(index);
  _table := colbert._create_derived(
    index, 'attempts',
    format('doc_id %s%s, PRIMARY KEY (%s), attempts integer NOT NULL, worker text NOT NULL, '
           'claimed_at timestamptz NOT NULL, due_at timestamptz NOT NULL, '
           'failed_at timestamptz, error text',
           (colbert._source_types(index)).key_type,
           CASE WHEN colbert._tenant_column(index) IS NOT NULL THEN ', tenant text COLLATE "C"' END,
           (colbert._attempt_key(index)).columns),
    'documents',
    CASE WHEN colbert._text_expression(index) IS NULL THEN format('s.%I IS NOT NULL', colbert._encoded_column(index))
         -- Always true: it is there for its check of privileges, and runs nothing of the expression.
         ELSE format('num_nonnulls(%s) >= 0',
                     (SELECT string_agg(format('s.%I', c), ', ') FROM unnest(colbert._encoded_columns(index)) AS c))
    END);
  EXECUTE format('CREATE INDEX ON %s (due_at)', _table);
  EXECUTE format('GRANT INSERT, UPDATE, DELETE ON TABLE %s TO PUBLIC', _table);
  EXECUTE format('CREATE POLICY writers_of_source ON %1$s '
                 'USING ((SELECT has_column_privilege(%2$L::regclass, %3$L, ''UPDATE'')) '
                 '  AND ((SELECT NOT row_security_active(%2$L::regclass)) '
                 '    OR EXISTS (SELECT FROM %2$s AS s WHERE %4$s OFFSET 0)))',
                 _table, index.source, index.embeddings, colbert._is_document_sql(index, _table::text));
END
$_create_attempts$;

COMMENT ON FUNCTION colbert._create_attempts(colbert._index) IS
  'Makes the table of attempts of an index with a column that workers encode.';
