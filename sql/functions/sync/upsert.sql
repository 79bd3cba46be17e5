-- Stores the token vectors of a document and brings the index in step in the same statement. It is for engines that
-- restrict triggers, with an index whose option "triggers" is false. Where there are triggers they do the work. The row
-- is updated, or inserted with nothing but key and array. NULL takes the document out of the index. Only roles that may
-- write the index's tables can call it, which is the owner of the table.
CREATE OR REPLACE FUNCTION colbert.upsert(
  source regclass, doc_id anynonarray, vectors vector[], embeddings name DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $upsert$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _types record := colbert._source_types(_index);
  _stored text := colbert._stored_sql(_types.element, '$2');
  _whole boolean;
  _updated bigint;
BEGIN
  IF doc_id IS NULL THEN
    RAISE EXCEPTION 'doc_id must not be NULL'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass the key of the document.';
  END IF;
  EXECUTE format('SELECT ($1::%s)::text = $1::text', _types.key_type) INTO _whole USING doc_id;
  IF NOT _whole THEN
    RAISE EXCEPTION 'doc_id "%" is no %', doc_id, _types.key_type
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Pass the key as the table has it.';
  END IF;
  PERFORM colbert._refuse_ambiguous(_index, ARRAY[doc_id::text]);
  EXECUTE format('UPDATE %s SET %I = %s WHERE %I = $1::%s',
                 _index.source, _index.embeddings, _stored, _index.key, _types.key_type)
    USING doc_id, vectors;
  GET DIAGNOSTICS _updated = ROW_COUNT;
  IF _updated = 0 AND colbert._key_within_tenant(_index) THEN
    RAISE EXCEPTION 'document "%" is not in table "%"', doc_id, _index.source
      USING ERRCODE = 'no_data_found',
            HINT = format('INSERT it with its "%s", which belongs to its key.', colbert._tenant_column(_index));
  ELSIF _updated = 0 THEN
    EXECUTE format('INSERT INTO %s (%I, %I) VALUES ($1::%s, %s) '
                   'ON CONFLICT (%2$I) DO UPDATE SET %3$I = EXCLUDED.%3$I',
                   _index.source, _index.key, _index.embeddings, _types.key_type, _stored)
      USING doc_id, vectors;
  END IF;

  IF NOT colbert._triggers(_index) THEN
    EXECUTE format('SELECT colbert._put($1, $3::text, %s)', _stored)
      USING colbert._part_of_document(_index, doc_id::text), vectors, doc_id;
  END IF;
END
$upsert$;

COMMENT ON FUNCTION colbert.upsert(regclass, anynonarray, vector[], name) IS
  'Stores the token vectors of a document, by its key, and brings an index without triggers in step.';
