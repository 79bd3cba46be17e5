-- The column that workers encode, of texts or of pictures. An index without one leaves the vectors to the writers.
CREATE OR REPLACE FUNCTION colbert._encoded_column(index colbert._index)
RETURNS name
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN coalesce(index.options ->> 'text', index.options ->> 'pictures')::name;

COMMENT ON FUNCTION colbert._encoded_column(colbert._index) IS
  'The column of an index that workers encode; NULL for one without.';
