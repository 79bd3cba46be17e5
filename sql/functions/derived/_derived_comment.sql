-- Only the owner of a table or a function can write its comment: so it proves what belongs to an index.
CREATE OR REPLACE FUNCTION colbert._derived_comment(index colbert._index)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN format('colbert_pg: part of late-interaction index %s. Derived data: do not edit.', index.id);

COMMENT ON FUNCTION colbert._derived_comment(colbert._index) IS
  'The comment that marks a table or a function as part of an index.';
