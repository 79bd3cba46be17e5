-- Option text: see _option_types. An index without one leaves the vectors to the writers.
CREATE OR REPLACE FUNCTION colbert._text_column(index colbert._index)
RETURNS name
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN (index.options ->> 'text')::name;

COMMENT ON FUNCTION colbert._text_column(colbert._index) IS
  'The text column of an index; NULL for one without.';
