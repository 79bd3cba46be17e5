-- The bytes of a pending picture, by the digest that claim_pictures gave: one picture at a time, so that a worker holds no
-- more of them than it encodes. NULL when it is another picture by now, or the document is not pending any more.
CREATE OR REPLACE FUNCTION colbert.read_picture(source regclass, doc_id text, content text, embeddings name DEFAULT NULL)
RETURNS bytea
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $read_picture$
DECLARE
  _index colbert._index := colbert._find_encoded_index(source, embeddings);
  _picture bytea;
BEGIN
  IF NOT colbert._has_picture_bytes(_index) THEN
    RAISE EXCEPTION 'the index on table "%" is not of the bytes of pictures', _index.source
      USING ERRCODE = 'wrong_object_type',
            HINT = 'What colbert.claim_pictures gives for a column of text is the path of a file.';
  END IF;
  PERFORM colbert._refuse_ambiguous(_index, ARRAY[doc_id]);
  EXECUTE format('SELECT %s FROM %s AS s WHERE s.%I = $1::%s AND s.%I IS NULL AND %s = $2',
                 colbert._encoded_sql(_index), _index.source, _index.key, (colbert._source_types(_index)).key_cast,
                 _index.embeddings, colbert._content_sql(_index))
     INTO _picture
    USING doc_id, content;
  RETURN _picture;
END
$read_picture$;

COMMENT ON FUNCTION colbert.read_picture(regclass, text, text, name) IS
  'The bytes of a pending picture, given the digest that claim_pictures has named; NULL when it is another picture by now, or the document is not pending any more.';
