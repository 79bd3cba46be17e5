-- The index of a table whose texts or pictures workers encode. Any other index, and one whose column or expression is
-- gone, is an error.
CREATE OR REPLACE FUNCTION colbert._find_encoded_index(source regclass, embeddings name)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_find_encoded_index$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
BEGIN
  IF NOT colbert._is_encoded(_index) THEN
    RAISE EXCEPTION 'the index on column "%" of table "%" names no column that workers encode', _index.embeddings, _index.source
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Create it with one: options => ''{"text": "content"}'', or "pictures".';
  ELSIF colbert._lacks_expression(_index) THEN
    RAISE EXCEPTION 'the expression of the index on "%" is gone, with the index of pending documents', _index.source
      USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = _index.options ->> 'text',
            HINT = format('SELECT colbert.repair_index(%L, %L), as the owner of the table.',
                          _index.source, _index.embeddings);
  ELSIF colbert._encoded_column(_index) <> ALL (ARRAY(SELECT a.attname FROM pg_attribute AS a
                                                       WHERE a.attrelid = _index.source AND NOT a.attisdropped)) THEN
    RAISE EXCEPTION '% column "%" of the index on "%" is not there any more',
                    CASE WHEN _index.options ? 'pictures' THEN 'picture' ELSE 'text' END,
                    colbert._encoded_column(_index), _index.source
      USING ERRCODE = 'undefined_column',
            HINT = 'Name the column as it was, or drop the index with colbert.drop_index and create it anew.';
  END IF;
  RETURN _index;
END
$_find_encoded_index$;

COMMENT ON FUNCTION colbert._find_encoded_index(regclass, name) IS
  'The registry row of an index whose texts or pictures workers encode, or an error.';
