-- Stores the vectors of a pending document, if its text or picture is still the one that was encoded and nobody else has
-- stored an array meanwhile. Returns whether it was stored. If not, there is nothing left to do: what has changed is pending
-- again.
--
-- first_stage are the vectors of the column that option "first_stage" names, where workers fill it.
CREATE OR REPLACE FUNCTION colbert.store_encoded(
  source regclass,
  doc_id text,
  content text,
  vectors vector[],
  worker text DEFAULT NULL,
  embeddings name DEFAULT NULL,
  first_stage vector[] DEFAULT NULL)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
COST 10000
SET search_path = pg_catalog, pg_temp
AS $store_encoded$
DECLARE
  _index colbert._index := colbert._find_encoded_index(source, embeddings);
  _types record := colbert._source_types(_index);
  _stage name := colbert._stage_column(_index);
  _stored bigint;
BEGIN
  IF vectors IS NULL THEN
    RAISE EXCEPTION 'vectors of document "%" must not be NULL', doc_id
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass the empty array for a text without tokens, or call colbert.report_failure.';
  ELSIF first_stage IS NOT NULL AND _stage IS NULL THEN
    RAISE EXCEPTION 'the index on column "%" of table "%" has no first stage that is filled by writers',
                    _index.embeddings, _index.source
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Leave out first_stage. PostgreSQL itself fills a generated column.';
  END IF;
  PERFORM colbert._refuse_ambiguous(_index, ARRAY[doc_id]);
  EXECUTE format('UPDATE %1$s AS s SET %2$I = %3$s%7$s '
                 ' WHERE s.%4$I = $2::%5$s AND s.%2$I IS NULL AND %6$s = $3',
                 _index.source, _index.embeddings, colbert._stored_sql(_types.element, '$1'), _index.key, _types.key_cast,
                 colbert._content_sql(_index),
                 CASE WHEN first_stage IS NOT NULL
                      THEN format(', %I = %s', _stage,
                                  colbert._stored_sql(colbert._element_type(_index.source, _stage), '$4')) END)
    USING vectors, doc_id, content, first_stage;
  GET DIAGNOSTICS _stored = ROW_COUNT;
  IF _stored > 0 THEN
    PERFORM colbert._saw_worker(_index, worker, 1, cardinality(vectors), 0);
  END IF;
  RETURN _stored > 0;
END
$store_encoded$;

COMMENT ON FUNCTION colbert.store_encoded(regclass, text, text, vector[], text, name, vector[]) IS
  'Stores the vectors of a pending document, given the content that was claimed; false when it is another by now, or the document is not pending any more.';
