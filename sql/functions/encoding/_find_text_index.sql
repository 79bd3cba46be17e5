-- The index on a column whose texts workers encode. Any other index, and one whose text column is gone, is an error.
CREATE OR REPLACE FUNCTION colbert._find_text_index(source regclass, embeddings name)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_find_text_index$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
BEGIN
  IF colbert._text_column(_index) IS NULL THEN
    RAISE EXCEPTION 'the index on column "%" of table "%" names no text column', _index.embeddings, _index.source
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Create it with one: options => ''{"text": "content"}''.';
  ELSIF NOT EXISTS (SELECT FROM pg_attribute AS a
                     WHERE a.attrelid = _index.source AND a.attname = colbert._text_column(_index)) THEN
    RAISE EXCEPTION 'text column "%" of the index on "%" is not there any more',
                    colbert._text_column(_index), _index.source
      USING ERRCODE = 'undefined_column',
            HINT = 'Name the column as it was, or drop the index with colbert.drop_index and create it anew.';
  END IF;
  RETURN _index;
END
$_find_text_index$;

COMMENT ON FUNCTION colbert._find_text_index(regclass, name) IS
  'The registry row of an index that names a text column, or an error.';
