-- The text of a document that workers encode, as it is now: the column that the index names, or the value of its
-- expression. NULL where there is no such document.
CREATE OR REPLACE FUNCTION colbert.document_text(source regclass, doc_id text, embeddings name DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $document_text$
DECLARE
  _index colbert._index := colbert._find_encoded_index(source, embeddings);
  _text text;
BEGIN
  PERFORM colbert._refuse_pictures(_index),
          colbert._refuse_ambiguous(_index, ARRAY[doc_id]);
  EXECUTE format('SELECT %s::text FROM %s AS s WHERE s.%I = $1::%s',
                 colbert._encoded_sql(_index), _index.source, _index.key, (colbert._source_types(_index)).key_cast)
     INTO _text
    USING doc_id;
  RETURN _text;
END
$document_text$;

COMMENT ON FUNCTION colbert.document_text(regclass, text, name) IS
  'The text of a document that workers encode: the column that the index names, or the value of its expression; NULL when there is no such document.';
