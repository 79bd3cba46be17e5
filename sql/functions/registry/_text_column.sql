-- The column of the source whose text the vectors come from: option "text" of the index, NULL where the
-- vectors are the writers' own business.
CREATE OR REPLACE FUNCTION colbert._text_column(index colbert._index)
RETURNS name
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN (index.options ->> 'text')::name;

COMMENT ON FUNCTION colbert._text_column(colbert._index) IS
  'The text column of an index; NULL for one without.';
