-- Half the bytes of vector, and as good for finding the nearest.
CREATE OR REPLACE FUNCTION colbert._plaid_type(index colbert._index)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN format('%I.halfvec(%s)', colbert._vector_schema(), index.dimensions);

COMMENT ON FUNCTION colbert._plaid_type(colbert._index) IS 'The type of a centroid.';
